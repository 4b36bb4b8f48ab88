/* The template with graphs: ops that are given between begin and end are kept, and run at launch.
 */
#define yiti_device_plugin_entry template_entry
#include "devices/template/template_device.c"
#undef yiti_device_plugin_entry

#define MAX_TENSORS 8
#define MAX_ATTRIBUTES 8

typedef struct kept_call {
  yiti_op_call call;
  yiti_tensor tensors[MAX_TENSORS];
  const yiti_tensor* pointers[MAX_TENSORS];
  yiti_attribute attributes[MAX_ATTRIBUTES];
  const op_entry* op;
  struct kept_call* next;
} kept_call;

struct yiti_graph {
  kept_call* first;
  kept_call* last;
};

static yiti_graph* recording;

static void keep(const yiti_op_call* call) {
  kept_call* kept = calloc(1, sizeof(*kept));
  kept->call = *call;
  kept->op = find_op(call->op);
  for (uint32_t i = 0; i < call->input_count + call->output_count; ++i) {
    const yiti_tensor* tensor =
        i < call->input_count ? call->inputs[i] : call->outputs[i - call->input_count];
    if (tensor == NULL) continue;
    kept->tensors[i] = *tensor;
    kept->pointers[i] = &kept->tensors[i];
  }
  for (uint32_t i = 0; i < call->attribute_count; ++i) kept->attributes[i] = call->attributes[i];
  kept->call.inputs = kept->pointers;
  kept->call.outputs = kept->pointers + call->input_count;
  kept->call.attributes = kept->attributes;
  if (recording->last == NULL) {
    recording->first = kept;
  } else {
    recording->last->next = kept;
  }
  recording->last = kept;
}

static yiti_status run_or_keep(yiti_device* device, yiti_stream* stream, const yiti_op_call* call,
                               yiti_message* message) {
  if (recording == NULL) return run_op(device, stream, call, message);
  keep(call);
  return YITI_STATUS_OK;
}

static yiti_status begin(yiti_device* device, yiti_stream* stream, yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  recording = calloc(1, sizeof(*recording));
  return YITI_STATUS_OK;
}

static yiti_status end(yiti_device* device, yiti_stream* stream, yiti_graph** graph,
                       yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  *graph = recording;
  recording = NULL;
  return YITI_STATUS_OK;
}

static yiti_status launch(yiti_device* device, yiti_graph* graph, yiti_stream* stream,
                          yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  for (kept_call* kept = graph->first; kept != NULL; kept = kept->next) kept->op->run(&kept->call);
  return YITI_STATUS_OK;
}

static void free_graph(yiti_device* device, yiti_graph* graph) {
  (void)device;
  while (graph->first != NULL) {
    kept_call* next = graph->first->next;
    free(graph->first);
    graph->first = next;
  }
  free(graph);
}

YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry(void) {
  static const yiti_graphs graphs = {sizeof(yiti_graphs), 0, begin, end, launch, free_graph};
  static yiti_device_plugin table;
  table = *template_entry();
  table.run_op = run_or_keep;
  table.graphs = &graphs;
  return &table;
}
