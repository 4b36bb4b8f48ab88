// Ops that read or add where indices (INDEX) say.

// Element i of an index tensor [outer, along, inner] stands for one of a tensor [outer, size, inner].
inline long place_of(long i, long along, long size, long inner, long index) {
  return (i / (along * inner) * size + index) * inner + i % inner;
}

#ifdef T
// y[i] = x at the index; zero where it is out of range.
__kernel void gather(IN(T, x), IN(INDEX, index), OUT(T, y), const long along, const long size,
                     const long inner, FAULT, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(index);
  AT(y);
  if (i >= count) return;
  const INDEX at = index[i];
  const int fits = at >= 0 && at < size;
  if (!fits) REPORT;
  y[i] = fits ? x[place_of(i, along, size, inner, at)] : (T)0;
}

// Rows of x by number.
__kernel void select_rows(IN(T, x), IN(INDEX, index), OUT(T, y), const long rows, const long width,
                          FAULT, const long count) {
  const long i = get_global_id(0);
  AT(x);
  AT(index);
  AT(y);
  if (i >= count) return;
  const INDEX row = index[i / width];
  const int fits = row >= 0 && row < rows;
  if (!fits) REPORT;
  y[i] = fits ? x[row * width + i % width] : (T)0;
}

// y += source at the indices: a work-item a line along the axis, in order.
__kernel void scatter_add(IN(INDEX, index), IN(T, source), OUT(T, y), const long along,
                          const long size, const long inner, FAULT, const long count) {
  const long line = get_global_id(0);
  AT(index);
  AT(source);
  AT(y);
  if (line >= count) return;
  const long first = line / inner * along * inner + line % inner;
  for (long j = 0; j < along; ++j) {
    const long i = first + j * inner;
    const INDEX at = index[i];
    if (at < 0 || at >= size) {
      REPORT;
    } else {
      y[place_of(i, along, size, inner, at)] += source[i];
    }
  }
}

// Rows of dy added where the index says, in order: a work-item a column.
__kernel void add_rows(IN(T, dy), IN(INDEX, index), OUT(T, out), const long tokens, const long rows,
                       FAULT, const long width) {
  const long column = get_global_id(0);
  AT(dy);
  AT(index);
  AT(out);
  if (column >= width) return;
  for (long t = 0; t < tokens; ++t) {
    const INDEX row = index[t];
    if (row < 0 || row >= rows) {
      REPORT;
    } else {
      out[row * width + column] += dy[t * width + column];
    }
  }
}
#endif

#ifdef WEIGHT
// Rows of a matrix of WEIGHT, widened: VALUE(i) reads element i. NaN where there is no such row.
__kernel void embed(IN(INDEX, ids), IN(WEIGHT, weight), OUT(float, y), const long rows,
                    const long width, FAULT, const long count) {
  const long i = get_global_id(0);
  AT(ids);
  AT(weight);
  AT(y);
  if (i >= count) return;
  const INDEX id = ids[i / width];
  const int fits = id >= 0 && id < rows;
  if (!fits) REPORT;
  const long at = (fits ? id : 0) * width + i % width;
  y[i] = fits ? VALUE(at) : NAN;
}
#endif

__kernel void one_hot(IN(INDEX, index), OUT(float, y), const long size, FAULT, const long count) {
  const long i = get_global_id(0);
  AT(index);
  AT(y);
  if (i >= count) return;
  const INDEX at = index[i / size];
  if (at < 0 || at >= size) REPORT;
  y[i] = at == i % size ? 1.0f : 0.0f;
}
