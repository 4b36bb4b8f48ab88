#include "devices/cuda/graphs.h"

#include "devices/common/plugin_table.h"
#include "devices/cuda/device.h"

namespace yiti::devices::cuda {
namespace {

void begin(yiti_device* device, yiti_stream* stream) { device->begin_capture(device->of(stream)); }

void end(yiti_device* device, yiti_stream* stream, yiti_graph** graph) {
  const Graph captured = device->end_capture(device->of(stream));
  cudaGraphExec_t made = nullptr;
  check(cudaGraphInstantiate(&made, captured.get(), 0), "cudaGraphInstantiate");
  *graph = new yiti_graph{GraphRun(made)};
}

void launch(yiti_device* device, yiti_graph* graph, yiti_stream* stream) {
  check(cudaGraphLaunch(graph->graph.get(), device->stream(stream)), "cudaGraphLaunch");
}

void free_graph(yiti_device* /*device*/, yiti_graph* graph) { delete graph; }

}  // namespace

const yiti_graphs kGraphs = {
    .struct_size = sizeof(yiti_graphs),
    .reserved = 0,
    .begin = Entry<OnDevice, &begin>::call,
    .end = Entry<OnDevice, &end>::call,
    .launch = Entry<OnDevice, &launch>::call,
    .free = Entry<OnDevice, &free_graph>::silent,
};

}  // namespace yiti::devices::cuda
