// Copies of elements of one size (T), and casts from FROM to TO.

#ifdef T
__kernel void copy_walk(IN(T, in), const Walk in_walk, OUT(T, out), const Walk out_walk,
                        const long count) {
  const long i = get_global_id(0);
  AT(in);
  AT(out);
  if (i < count) out[walk_to(&out_walk, i)] = in[walk_to(&in_walk, i)];
}

__kernel void fill(OUT(T, out), const T value, const long count) {
  const long i = get_global_id(0);
  AT(out);
  if (i < count) out[i] = value;
}

__kernel void where_walk(IN(uchar, condition), const Walk condition_walk, IN(T, a),
                         const Walk a_walk, IN(T, b), const Walk b_walk, OUT(T, out),
                         const long count) {
  const long i = get_global_id(0);
  AT(condition);
  AT(a);
  AT(b);
  AT(out);
  if (i >= count) return;
  out[i] =
      condition[walk_to(&condition_walk, i)] ? a[walk_to(&a_walk, i)] : b[walk_to(&b_walk, i)];
}
#endif

#ifdef CONVERT
// FROM and TO are storage types; VALUE(i) reads an element and PUT(i, x) writes one.
__kernel void cast_each(IN(FROM, in), OUT(TO, out), const long count) {
  const long i = get_global_id(0);
  AT(in);
  AT(out);
  if (i < count) PUT(i, VALUE(i));
}
#endif
