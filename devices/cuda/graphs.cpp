#include "devices/cuda/graphs.h"

#include "devices/cuda/device.h"

namespace yiti::devices::cuda {
namespace {

yiti_status begin(yiti_device* device, yiti_stream* stream, yiti_message* message) {
  return guarded(message, [&] {
    const OnDevice here(device);
    device->begin_capture(device->of(stream));
  });
}

yiti_status end(yiti_device* device, yiti_stream* stream, yiti_graph** graph,
                yiti_message* message) {
  return guarded(message, [&] {
    const OnDevice here(device);
    const Graph captured = device->end_capture(device->of(stream));
    cudaGraphExec_t made = nullptr;
    check(cudaGraphInstantiate(&made, captured.get(), 0), "cudaGraphInstantiate");
    *graph = new yiti_graph{GraphRun(made)};
  });
}

yiti_status launch(yiti_device* device, yiti_graph* graph, yiti_stream* stream,
                   yiti_message* message) {
  return guarded(message, [&] {
    const OnDevice here(device);
    check(cudaGraphLaunch(graph->graph.get(), device->stream(stream)), "cudaGraphLaunch");
  });
}

void free_graph(yiti_device*, yiti_graph* graph) { delete graph; }

}  // namespace

const yiti_graphs kGraphs = {
    .struct_size = sizeof(yiti_graphs),
    .reserved = 0,
    .begin = begin,
    .end = end,
    .launch = launch,
    .free = free_graph,
};

}  // namespace yiti::devices::cuda
