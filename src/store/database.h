#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

// A thin owner of one SQLite connection, so that sqlite3.h stays in one .cc file. Not thread-safe: one user
// at a time.
namespace buoy::store {

// A prepared statement on loan from its connection; reset and unbound when it goes out of scope.
class Query {
 public:
  Query(sqlite3* db, sqlite3_stmt* statement);
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  // Binds the next parameter. Text must live until the query ends. Errors come with next() or run().
  Query& bind(std::int64_t value);
  Query& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Query& bind(std::uint32_t value) { return bind(static_cast<std::int64_t>(value)); }
  Query& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Query& bind(double value);
  Query& bind(std::string_view value);
  Query& bindNull();

  Result<bool> next();  // true: a row is there
  Status run();         // a statement without rows

  std::int64_t integer(int column) const;
  std::uint64_t natural(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  double real(int column) const;
  bool isNull(int column) const;
  std::string_view text(int column) const;  // valid until the next call of next(); empty for NULL

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_;
  int next_parameter_ = 1;
  int error_ = 0;
  int os_error_ = 0;  // errno of the step that failed
};

class Database {
 public:
  enum class Mode { read_write, read_only };
  static Result<Database> open(const std::string& path, Mode mode);

  // SQL of the program itself, without parameters; may hold several statements.
  Status execute(const std::string& sql);
  // `sql` must be a literal: it is prepared once, and found again by its address.
  Query query(const char* sql);
  Result<std::int64_t> integer(const char* sql);  // first column of the first row

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Database(sqlite3* db);

  std::unique_ptr<sqlite3, Close> db_;
  std::unordered_map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>>
      statements_;  // destroyed before db_
};

// begin … commit; rolls back if it goes out of scope uncommitted.
class Transaction {
 public:
  static Result<Transaction> begin(Database& db);
  static Result<Transaction> beginRead(Database& db);  // all reads see the same commit; ends with the scope
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Database& db) : db_(&db) {}
  Database* db_;
};

}  // namespace buoy::store
