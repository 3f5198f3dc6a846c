// Multiplies small matrices with wide ones, whose rows are the maps of an image, and maps with maps.
#pragma once
#include <initializer_list>

namespace products {

// A term of a sum of products: a (rows, inner) times x (inner, length).
template <class T>
struct Term {
  const T* a;
  int lda, inner;
  const T* x;
  long ldx;
};

// out (rows, length) = or += the sum of the terms + bias (rows); bias may be null.
template <class T>
void multiply(std::initializer_list<Term<T>> terms, int rows, T* out, long ldo, long length, const T* bias, bool add);

// Some rows of each of several images. row, image: distances between rows and between images.
template <class T>
struct Rows {
  const T* data;
  int count;
  long row, image;
};

// out (x.count, y.count) += x y^T over the pixels of all images. symmetric: x is y; the result below the diagonal is
// undefined.
template <class T>
void outer(const Rows<T>& x, const Rows<T>& y, long images, long length, double* out, int ldo, bool symmetric);

// The number of images to multiply per call. Small maps are joined, to update the sums less often; larger maps are
// multiplied one by one while they are cached.
inline long together(long pixels, long images) { return pixels >= 128 ? 1 : images; }

}  // namespace products
