/* A device to begin from: the host's own memory, which nobody but this file touches. It runs five
 * ops on float32 and has no queue: work is done when the function returns, so streams and events
 * have nothing to wait for. docs/howto/add-a-device.md says what a real one does in each place. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plugin/yiti_device.h"

struct yiti_device {
  int32_t index;
};

struct yiti_memory {
  uint64_t bytes;
  unsigned char* data;
};

__attribute__((format(printf, 3, 4))) static yiti_status fail(yiti_message* message,
                                                              yiti_status status,
                                                              const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message->text, sizeof(message->text), format, arguments);
  va_end(arguments);
  return status;
}

/* ---- devices ---- */

static yiti_status count(int32_t* devices, yiti_message* message) {
  (void)message;
  *devices = 1;
  return YITI_STATUS_OK;
}

static yiti_status open_device(int32_t index, yiti_device** device, yiti_message* message) {
  if (index != 0) {
    return fail(message, YITI_STATUS_UNAVAILABLE, "there is no device %d; there is one", index);
  }
  *device = malloc(sizeof(**device));
  if (*device == NULL) return fail(message, YITI_STATUS_RESOURCE_EXHAUSTED, "no memory");
  (*device)->index = index;
  return YITI_STATUS_OK;
}

static void close_device(yiti_device* device) { free(device); }

static yiti_status query(yiti_device* device, yiti_device_info* info, yiti_message* message) {
  (void)device;
  (void)message;
  info->kind = YITI_DEVICE_KIND_OTHER;
  info->flags = YITI_DEVICE_ROW_CONTRACT;
  info->compute_units = 1;
  info->alignment = 64;
  snprintf(info->name, sizeof(info->name), "Template");
  snprintf(info->driver, sizeof(info->driver), "none");
  return YITI_STATUS_OK;
}

/* ---- memory ---- */

static yiti_status allocate(yiti_device* device, uint64_t bytes, yiti_memory** memory,
                            yiti_message* message) {
  (void)device;
  yiti_memory* made = malloc(sizeof(*made));
  if (made != NULL) {
    made->bytes = bytes;
    made->data = malloc(bytes);
  }
  if (made == NULL || made->data == NULL) {
    free(made);
    return fail(message, YITI_STATUS_RESOURCE_EXHAUSTED, "malloc of %llu bytes failed",
                (unsigned long long)bytes);
  }
  *memory = made;
  return YITI_STATUS_OK;
}

static void free_memory(yiti_device* device, yiti_memory* memory) {
  (void)device;
  free(memory->data);
  free(memory);
}

static yiti_status copy_to_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                                  uint64_t target_offset, const void* source, uint64_t bytes,
                                  yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  memcpy(target->data + target_offset, source, bytes);
  return YITI_STATUS_OK;
}

static yiti_status copy_to_host(yiti_device* device, yiti_stream* stream, void* target,
                                yiti_memory* source, uint64_t source_offset, uint64_t bytes,
                                yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  memcpy(target, source->data + source_offset, bytes);
  return YITI_STATUS_OK;
}

static yiti_status copy_on_device(yiti_device* device, yiti_stream* stream, yiti_memory* target,
                                  uint64_t target_offset, yiti_memory* source,
                                  uint64_t source_offset, uint64_t bytes, yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  memcpy(target->data + target_offset, source->data + source_offset, bytes);
  return YITI_STATUS_OK;
}

static yiti_status clear(yiti_device* device, yiti_stream* stream, yiti_memory* memory,
                         uint64_t offset, uint64_t bytes, yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  memset(memory->data + offset, 0, bytes);
  return YITI_STATUS_OK;
}

/* ---- streams and events ---- */

static yiti_status stream_create(yiti_device* device, yiti_stream** stream, yiti_message* message) {
  (void)device;
  (void)message;
  *stream = NULL;
  return YITI_STATUS_OK;
}

static void stream_destroy(yiti_device* device, yiti_stream* stream) {
  (void)device;
  (void)stream;
}

static yiti_status stream_synchronise(yiti_device* device, yiti_stream* stream,
                                      yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  return YITI_STATUS_OK;
}

static yiti_status event_create(yiti_device* device, yiti_event** event, yiti_message* message) {
  (void)device;
  (void)message;
  *event = NULL;
  return YITI_STATUS_OK;
}

static void event_destroy(yiti_device* device, yiti_event* event) {
  (void)device;
  (void)event;
}

static yiti_status event_on_stream(yiti_device* device, yiti_event* event, yiti_stream* stream,
                                   yiti_message* message) {
  (void)device;
  (void)event;
  (void)stream;
  (void)message;
  return YITI_STATUS_OK;
}

static yiti_status event_synchronise(yiti_device* device, yiti_event* event,
                                     yiti_message* message) {
  (void)device;
  (void)event;
  (void)message;
  return YITI_STATUS_OK;
}

/* ---- ops ---- */

static float* floats(const yiti_tensor* tensor) {
  return (float*)(void*)(tensor->memory->data + tensor->offset);
}

static int64_t element_count(const yiti_tensor* tensor) {
  int64_t product = 1;
  for (uint32_t axis = 0; axis < tensor->rank; ++axis) product *= tensor->shape[axis];
  return product;
}

static int64_t last_size(const yiti_tensor* tensor) { return tensor->shape[tensor->rank - 1]; }

static double float_attribute(const yiti_op_call* call, const char* name, double otherwise) {
  for (uint32_t i = 0; i < call->attribute_count; ++i) {
    const yiti_attribute* attribute = &call->attributes[i];
    if (strcmp(attribute->name, name) == 0) return attribute->value.float_value;
  }
  return otherwise;
}

static int has_one_shape(const yiti_op_call* call) {
  const yiti_tensor *a = call->inputs[0], *b = call->inputs[1];
  return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof(int64_t)) == 0;
}

static void run_add(const yiti_op_call* call) {
  const float *a = floats(call->inputs[0]), *b = floats(call->inputs[1]);
  float* y = floats(call->outputs[0]);
  const int64_t n = element_count(call->outputs[0]);
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

static void run_mul(const yiti_op_call* call) {
  const float *a = floats(call->inputs[0]), *b = floats(call->inputs[1]);
  float* y = floats(call->outputs[0]);
  const int64_t n = element_count(call->outputs[0]);
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] * b[i];
}

/* y = x / sqrt(mean(x²) + eps) * weight over the last axis; the reciprocal root is kept for the
 * gradient where it is wanted. */
static void run_rms_norm(const yiti_op_call* call) {
  const float *x = floats(call->inputs[0]), *weight = floats(call->inputs[1]);
  float* y = floats(call->outputs[0]);
  float* kept = call->outputs[1] == NULL ? NULL : floats(call->outputs[1]);
  const double eps = float_attribute(call, "eps", 1e-6);
  const int64_t width = last_size(call->inputs[0]);
  const int64_t rows = width == 0 ? 0 : element_count(call->inputs[0]) / width;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += (double)x[i] * (double)x[i];
    const float inverse = (float)(1 / sqrt(sum / (double)width + eps));
    for (int64_t i = 0; i < width; ++i) y[i] = x[i] * inverse * weight[i];
    if (kept != NULL) kept[row] = inverse;
  }
}

/* y = x weightᵀ + bias; each element is one sum in the order of K, whatever the rows beside it. */
static void run_linear(const yiti_op_call* call) {
  const float *x = floats(call->inputs[0]), *weight = floats(call->inputs[1]);
  const float* bias = call->inputs[2] == NULL ? NULL : floats(call->inputs[2]);
  float* y = floats(call->outputs[0]);
  const int64_t n = call->inputs[1]->shape[0], k = call->inputs[1]->shape[1];
  const int64_t rows = n == 0 ? 0 : element_count(call->outputs[0]) / n;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < n; ++column) {
      float sum = 0;
      for (int64_t i = 0; i < k; ++i) sum = fmaf(x[row * k + i], weight[column * k + i], sum);
      y[row * n + column] = bias == NULL ? sum : sum + bias[column];
    }
  }
}

/* Elements of any strides, in row-major order. */
static void run_contiguous(const yiti_op_call* call) {
  const yiti_tensor* in = call->inputs[0];
  const float* x = floats(in);
  float* y = floats(call->outputs[0]);
  const int64_t n = element_count(in);
  for (int64_t i = 0; i < n; ++i) {
    int64_t rest = i, from = 0;
    for (uint32_t axis = in->rank; axis-- > 0;) {
      from += rest % in->shape[axis] * in->strides[axis];
      rest /= in->shape[axis];
    }
    y[i] = x[from];
  }
}

typedef struct op_entry {
  const char* name;
  void (*run)(const yiti_op_call*);
  int same_shapes;         /* it does not broadcast */
  uint64_t strided_inputs; /* as in yiti_op_support */
} op_entry;

static const op_entry kOps[] = {
    {"add", run_add, 1, 0},
    {"mul", run_mul, 1, 0},
    {"rms_norm", run_rms_norm, 0, 0},
    {"linear", run_linear, 0, 0},
    {"contiguous", run_contiguous, 0, 1},
};

static const op_entry* find_op(const char* name) {
  for (size_t i = 0; i < sizeof(kOps) / sizeof(kOps[0]); ++i) {
    if (strcmp(kOps[i].name, name) == 0) return &kOps[i];
  }
  return NULL;
}

static yiti_status supports_op(yiti_device* device, const yiti_op_call* call,
                               yiti_op_support* support, yiti_message* message) {
  (void)device;
  const op_entry* op = find_op(call->op);
  if (op == NULL) return fail(message, YITI_STATUS_UNIMPLEMENTED, "has no op %s", call->op);
  for (uint32_t i = 0; i < call->input_count; ++i) {
    if (call->inputs[i] != NULL && call->inputs[i]->dtype != YITI_DTYPE_F32) {
      return fail(message, YITI_STATUS_UNIMPLEMENTED, "takes f32 only");
    }
  }
  if (op->same_shapes && !has_one_shape(call)) {
    return fail(message, YITI_STATUS_UNIMPLEMENTED, "does not broadcast");
  }
  support->strided_inputs = op->strided_inputs;
  return YITI_STATUS_OK;
}

static yiti_status run_op(yiti_device* device, yiti_stream* stream, const yiti_op_call* call,
                          yiti_message* message) {
  (void)device;
  (void)stream;
  const op_entry* op = find_op(call->op);
  if (op == NULL) return fail(message, YITI_STATUS_UNIMPLEMENTED, "has no op %s", call->op);
  op->run(call);
  return YITI_STATUS_OK;
}

/* Left out are the optional tables: graphs, collectives, and weights in a layout of its own. */
static const yiti_device_plugin kPlugin = {
    .abi_version = YITI_DEVICE_ABI_VERSION,
    .struct_size = sizeof(yiti_device_plugin),
    .name = "template",
    .count = count,
    .open = open_device,
    .close = close_device,
    .query = query,
    .allocate = allocate,
    .free = free_memory,
    .copy_to_device = copy_to_device,
    .copy_to_host = copy_to_host,
    .copy_on_device = copy_on_device,
    .clear = clear,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronise = stream_synchronise,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_on_stream,
    .event_wait = event_on_stream,
    .event_synchronise = event_synchronise,
    .supports_op = supports_op,
    .run_op = run_op,
};

YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry(void) { return &kPlugin; }
