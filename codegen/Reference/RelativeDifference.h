#ifndef CODEGEN_REFERENCE_RELATIVEDIFFERENCE_H
#define CODEGEN_REFERENCE_RELATIVEDIFFERENCE_H

namespace elah {

/// 1 - 2<x,y>/(|x|^2+|y|^2), of vectors that come element by element: 0 for equal ones, and for zeros.
class RelativeDifference {
public:
  void add(double x, double y) {
    product += x * y;
    squares += x * x + y * y;
  }
  double value() const { return squares == 0 ? 0 : 1 - 2 * product / squares; }

private:
  double product = 0, squares = 0;
};

} // namespace elah

#endif
