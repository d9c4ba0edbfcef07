#include "store/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "base/strings.h"

namespace buoy::store {
namespace {

// Runs one call of SQLite and keeps the system's error of it. sqlite3_system_errno does not do: it is not set
// when a COMMIT cannot write the log, and it is never cleared.
template <class F>
int call(int& os_error, F&& f) {
  errno = 0;
  const int code = f();
  os_error = errno;
  return code;
}

Error errorOf(sqlite3* db, int code, int os_error) {
  const std::string message = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
  const int primary = code & 0xFF;
  if (primary == SQLITE_FULL ||
      (primary == SQLITE_IOERR && (os_error == ENOSPC || os_error == EDQUOT || os_error == EFBIG))) {
    return {ErrorCode::resource_exhausted, "database: storage is full: " + message, true};
  }
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
    return {ErrorCode::data_loss, "database: " + message, false};
  if (primary == SQLITE_PERM || primary == SQLITE_READONLY || primary == SQLITE_AUTH) {
    return {ErrorCode::permission_denied, "database: " + message, false};
  }
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_NOMEM ||
      primary == SQLITE_IOERR) {
    return {ErrorCode::unavailable, "database: " + message, true};
  }
  return {ErrorCode::internal, "database: " + message, false};
}

}  // namespace

Query::Query(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {
  if (statement == nullptr) error_ = sqlite3_extended_errcode(db);
}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::bind(std::int64_t value) {
  if (error_ == 0) error_ = sqlite3_bind_int64(statement_, next_parameter_++, value);
  return *this;
}

Query& Query::bind(double value) {
  if (error_ == 0) error_ = sqlite3_bind_double(statement_, next_parameter_++, value);
  return *this;
}

Query& Query::bind(std::string_view value) {
  // A null data pointer would bind NULL instead of the empty text.
  const char* data = value.data() == nullptr ? "" : value.data();
  if (error_ == 0) {
    error_ =
        sqlite3_bind_text64(statement_, next_parameter_++, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return *this;
}

Query& Query::bindNull() {
  if (error_ == 0) error_ = sqlite3_bind_null(statement_, next_parameter_++);
  return *this;
}

Result<bool> Query::next() {
  if (error_ != 0) return fail(errorOf(db_, error_, os_error_));
  const int code = call(os_error_, [&] { return sqlite3_step(statement_); });
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  error_ = sqlite3_extended_errcode(db_);
  return fail(errorOf(db_, error_, os_error_));
}

Status Query::run() {
  auto row = next();
  if (!row) return fail(std::move(row).error());
  return {};
}

std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
double Query::real(int column) const {
  return sqlite3_column_double(statement_, column);
}
bool Query::isNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string_view Query::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Database::Close::operator()(sqlite3* db) const {
  sqlite3_close(db);
}
void Database::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Database::Database(sqlite3* db) : db_(db) {}

Result<Database> Database::open(const std::string& path, Mode mode) {
  const int flags =
      (mode == Mode::read_write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  sqlite3* db = nullptr;
  int os_error = 0;
  const int code = call(os_error, [&] { return sqlite3_open_v2(path.c_str(), &db, flags, nullptr); });
  Database opened(db);
  if (code != SQLITE_OK) return fail(errorOf(db, code, os_error).wrap("open " + path));
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, 10'000);
  return opened;
}

Status Database::execute(const std::string& sql) {
  int os_error = 0;
  const int code =
      call(os_error, [&] { return sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr); });
  if (code != SQLITE_OK) return fail(errorOf(db_.get(), code, os_error));
  return {};
}

Query Database::query(const char* sql) {
  auto& statement = statements_[sql];
  if (statement == nullptr) {
    sqlite3_stmt* prepared = nullptr;
    sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    statement.reset(prepared);
  }
  return Query(db_.get(), statement.get());
}

Result<std::int64_t> Database::integer(const char* sql) {
  Query query = this->query(sql);
  BUOY_TRY(const bool row, query.next());
  return row ? query.integer(0) : 0;
}

Result<Transaction> Transaction::begin(Database& db) {
  BUOY_TRY_VOID(db.query("BEGIN IMMEDIATE").run());
  return Transaction(db);
}

Result<Transaction> Transaction::beginRead(Database& db) {
  BUOY_TRY_VOID(db.query("BEGIN").run());
  return Transaction(db);
}

Transaction::Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}

Transaction::~Transaction() {
  // Fails when the error that brought us here has already rolled back, which is as good.
  if (db_ != nullptr) (void)db_->query("ROLLBACK").run();
}

Status Transaction::commit() {
  BUOY_TRY_VOID(db_->query("COMMIT").run());
  db_ = nullptr;
  return {};
}

}  // namespace buoy::store
