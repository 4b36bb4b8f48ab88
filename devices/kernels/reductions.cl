// Reductions of elements of type T: a group gives one element. Lane l folds elements l, l + 64, …
// in order; lanes are joined by a tree.

#ifdef T
#define REDUCTION(name, first, join, finish)                                                     \
  __kernel ONE_GROUP void name##_walk(IN(T, in), const Walk kept, const Walk folded, const long n, \
                                      OUT(T, out)) {                                              \
    SHARED T room[GROUP];                                                                        \
    const int lane = get_local_id(0);                                                             \
    AT(in);                                                                                       \
    AT(out);                                                                                      \
    in += walk_to(&kept, get_group_id(0));                                                        \
    T a = first;                                                                                  \
    for (long i = lane; i < n; i += GROUP) {                                                      \
      const T b = in[walk_to(&folded, i)];                                                        \
      a = join;                                                                                   \
    }                                                                                             \
    room[lane] = a;                                                                               \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                 \
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {                              \
      if (lane < half_size) {                                                                     \
        const T b = room[lane + half_size];                                                       \
        a = room[lane];                                                                           \
        room[lane] = join;                                                                        \
      }                                                                                           \
      barrier(CLK_LOCAL_MEM_FENCE);                                                               \
    }                                                                                             \
    if (lane == 0) {                                                                              \
      a = room[0];                                                                                \
      out[get_group_id(0)] = finish;                                                              \
    }                                                                                             \
  }

REDUCTION(sum, 0, a + b, a)
REDUCTION(max, in[0], a > b || a != a ? a : b, a)
REDUCTION(min, in[0], a < b || a != a ? a : b, a)
#ifdef FLOATS
REDUCTION(mean, 0, a + b, a / (T)n)
#endif

// The place of the best element along an axis: the first of equals, NaN before numbers.
#define BEST(name, better)                                                                       \
  inline int name##_wins(T b, long b_at, T a, long a_at) {                                       \
    if (b != b || a != a) return b != b && (a == a || b_at < a_at);                              \
    return better || (b == a && b_at < a_at);                                                    \
  }                                                                                              \
  __kernel ONE_GROUP void name##_walk(IN(T, in), const Walk kept, const Walk folded, const long n, \
                                      OUT(long, out)) {                                           \
    SHARED T room[GROUP];                                                                        \
    SHARED long places[GROUP];                                                                   \
    const int lane = get_local_id(0);                                                             \
    AT(in);                                                                                       \
    AT(out);                                                                                      \
    in += walk_to(&kept, get_group_id(0));                                                        \
    T a = in[0];                                                                                  \
    long at = 0;                                                                                  \
    for (long i = lane; i < n; i += GROUP) {                                                      \
      const T b = in[walk_to(&folded, i)];                                                        \
      if (!name##_wins(b, i, a, at)) continue;                                                    \
      a = b;                                                                                      \
      at = i;                                                                                     \
    }                                                                                             \
    room[lane] = a;                                                                               \
    places[lane] = at;                                                                            \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                 \
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {                              \
      const int other = lane + half_size;                                                         \
      if (lane < half_size && name##_wins(room[other], places[other], room[lane], places[lane])) { \
        room[lane] = room[other];                                                                 \
        places[lane] = places[other];                                                             \
      }                                                                                           \
      barrier(CLK_LOCAL_MEM_FENCE);                                                               \
    }                                                                                             \
    if (lane == 0) out[get_group_id(0)] = places[0];                                              \
  }

BEST(argmax, b > a)
BEST(argmin, b < a)

#ifdef FLOATS
// The k best of each part of a row in argmax's order: each is the best of those behind the one before.
// Where a part has fewer, the rest have place -1. Elements that were chosen before have their places in
// `of`.
__kernel ONE_GROUP void top_k(IN(T, in), IN(long, of), const int has_places, OUT(T, values),
                              OUT(long, places), const long k, const long width, const long part,
                              const long parts) {
  SHARED T room[GROUP];
  SHARED long room_places[GROUP];
  const int lane = get_local_id(0);
  const long row = get_group_id(0) / parts, begin = get_group_id(0) % parts * part;
  const long end = min(width, begin + part);
  in += in_at + row * width;
  const long of_row = of_at + row * width;
  values += values_at + (long)get_group_id(0) * k;
  places += places_at + (long)get_group_id(0) * k;
  T last = 0;
  long last_at = -1;
  for (long j = 0; j < k; ++j) {
    T a = 0;
    long at = -1;
    for (long i = begin + lane; i < end; i += GROUP) {
      const long place = has_places ? of[of_row + i] : i;
      if (place < 0) continue;
      const int is_behind =
          j == 0 || (last_at >= 0 && place != last_at && argmax_wins(last, last_at, in[i], place));
      if (!is_behind || (at >= 0 && !argmax_wins(in[i], place, a, at))) continue;
      a = in[i];
      at = place;
    }
    room[lane] = a;
    room_places[lane] = at;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
      const int other = lane + half_size;
      if (lane < half_size && room_places[other] >= 0 &&
          (room_places[lane] < 0 ||
           argmax_wins(room[other], room_places[other], room[lane], room_places[lane]))) {
        room[lane] = room[other];
        room_places[lane] = room_places[other];
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    last = room[0];
    last_at = room_places[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane == 0) {
      values[j] = last;
      places[j] = last_at;
    }
  }
}
#endif
#endif

#ifdef SQUARES
#define CHUNK 4096

GROUP_TREE(sum_of_doubles, double, GROUP, a + b)

// The sum of squares of each chunk.
__kernel ONE_GROUP void chunk_squares(IN(float, in), const long n, OUT(double, parts)) {
  SHARED double room[GROUP];
  const long start = get_group_id(0) * (long)CHUNK, end = min(n, start + CHUNK);
  AT(in);
  AT(parts);
  double sum = 0;
  for (long i = start + get_local_id(0); i < end; i += GROUP) {
    sum += (double)in[i] * (double)in[i];
  }
  const double total = sum_of_doubles(sum, room);
  if (get_local_id(0) == 0) parts[get_group_id(0)] = total;
}

__kernel ONE_GROUP void add_parts(IN(double, parts), const long n, OUT(double, out)) {
  SHARED double room[GROUP];
  AT(parts);
  AT(out);
  double sum = 0;
  for (long i = get_local_id(0); i < n; i += GROUP) sum += parts[i];
  const double total = sum_of_doubles(sum, room);
  if (get_local_id(0) == 0) out[0] = total;
}
#endif
