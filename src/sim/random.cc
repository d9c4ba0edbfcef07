#include "sim/random.h"

namespace buoy::sim {
namespace {

// -ln(u) for 0 < u <= 1. u = m · 2^-k with 1/2 < m <= 1; ln m = 2 artanh((m - 1) / (m + 1)), whose series has
// an argument of at most 1/3: 17 terms leave an error below 1e-17.
double negativeLog(double u) {
  constexpr double kLn2 = 0.69314718055994530942;
  double halvings = 0;
  while (u <= 0.5) {
    u *= 2;
    halvings += 1;
  }
  const double x = (u - 1) / (u + 1);
  const double square = x * x;
  double power = x, sum = 0;
  for (int n = 1; n < 35; n += 2) {
    sum += power / n;
    power *= square;
  }
  return halvings * kLn2 - 2 * sum;
}

}  // namespace

Duration Random::exponential(Duration mean) {
  return Duration{static_cast<Duration::rep>(negativeLog(1.0 - real()) * static_cast<double>(mean.count()))};
}

}  // namespace buoy::sim
