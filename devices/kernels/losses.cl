// Cross-entropy of rows of logits: a group a row of `width` classes. LABEL is the labels' type.

#define IGNORED_LABEL -100

// A row's label, or -1 where it is ignored or no class.
inline int label_of(__global const LABEL *labels, long row, long classes, __global int *fault,
                    int op_number) {
  const LABEL label = labels[row];
  const int fits = label >= 0 && label < classes;
  if (!fits && label != IGNORED_LABEL && get_local_id(0) == 0) REPORT;
  return fits ? (int)label : -1;
}

// loss = lse - logit of the label, from row `first` of the labels on.
__kernel ONE_GROUP void cross_entropy(IN(float, x), IN(LABEL, labels), OUT(float, loss),
                                      OUT(float, lse), const int keeps, const long first,
                                      const long width, FAULT) {
  SHARED float room[GROUP];
  ROW(x);
  AT(labels);
  const long row = first + get_group_id(0);
  const int label = label_of(labels, row, width, fault, op_number);
  const float top = row_top(x, width, room);
  float sum = 0;
  EACH(i) sum += exp_of(x[i] - top);
  const float total = top + log(group_sum(sum, room));
  if (get_local_id(0) != 0) return;
  loss[loss_at + row] = label < 0 ? 0.0f : total - x[label];
  if (keeps) lse[lse_at + row] = label < 0 ? 0.0f : total;
}

// dx = dloss (softmax - one at the label), dloss being 1 where there is none; may be in place.
__kernel ONE_GROUP void cross_entropy_backward(IN(float, x), IN(LABEL, labels), IN(float, lse),
                                               IN(float, dloss), const int has_dloss,
                                               OUT(float, dx), const long first, const long width,
                                               FAULT) {
  ROW(x);
  ROW(dx);
  AT(labels);
  const long row = first + get_group_id(0);
  const int label = label_of(labels, row, width, fault, op_number);
  const float total = lse[lse_at + row], factor = has_dloss ? dloss[dloss_at + row] : 1.0f;
  EACH(i) {
    const float slope = factor * exp_of(x[i] - total);
    dx[i] = label < 0 ? 0.0f : i == label ? slope - factor : slope;
  }
}
