// Updates in place, one work-item an element, in the order in which torch.optim writes them.

__kernel void adamw_step(OUT(float, param), IN(float, grad), OUT(float, m), OUT(float, v),
                         const float grad_scale, const float decay, const float mix1,
                         const float beta2, const float mix2, const float root_correction2,
                         const float eps, const float step_size, const long count) {
  const long i = get_global_id(0);
  AT(param);
  AT(grad);
  AT(m);
  AT(v);
  if (i >= count) return;
  float first = m[i], second = v[i];
  param[i] = adamw_of(param[i], grad[i], &first, &second, grad_scale, decay, mix1, beta2, mix2,
                      root_correction2, eps, step_size);
  m[i] = first;
  v[i] = second;
}

__kernel void sgd_step(OUT(float, param), IN(float, grad), OUT(float, momentum),
                       const int has_momentum, const float grad_scale, const float decay,
                       const float keep, const float lr, const int nesterov, const long count) {
  const long i = get_global_id(0);
  AT(param);
  AT(grad);
  if (i >= count) return;
  float g = grad[i] * grad_scale + decay * param[i];
  if (has_momentum) {
    const float mixed = momentum[momentum_at + i] * keep + g;
    momentum[momentum_at + i] = mixed;
    g = nesterov ? g + keep * mixed : mixed;
  }
  param[i] = param[i] - lr * g;
}
