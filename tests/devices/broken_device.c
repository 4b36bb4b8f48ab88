/* The template with one thing wrong, chosen by -DBREAK=…, for the tests of the loader and of
 * errors. */
#define yiti_device_plugin_entry template_entry
#include "devices/template/template_device.c"
#undef yiti_device_plugin_entry

#define WRONG_ABI 1
#define SMALL_TABLE 2
#define MISSING_FUNCTION 3
#define NO_ENTRY 4
#define NO_DEVICE 5
#define NO_DRIVER 6
#define LITTLE_MEMORY 7
#define FAILING_OP 8
#define FAILING_LATER 9
#define NO_TABLE 10
#define SMALL_WEIGHTS 11
#define EMPTY_WEIGHTS 12
#define OLDER_TABLE 13

#if BREAK == NO_DEVICE || BREAK == NO_DRIVER
static yiti_status count_none(int32_t* devices, yiti_message* message) {
  *devices = 0;
  return BREAK == NO_DEVICE ? YITI_STATUS_OK
                            : fail(message, YITI_STATUS_UNAVAILABLE, "libdriver.so: not found");
}
#endif

#if BREAK == LITTLE_MEMORY
static yiti_status allocate_little(yiti_device* device, uint64_t bytes, yiti_memory** memory,
                                   yiti_message* message) {
  if (bytes > 1 << 20) {
    return fail(message, YITI_STATUS_RESOURCE_EXHAUSTED, "only small blocks here");
  }
  return allocate(device, bytes, memory, message);
}
#endif

#if BREAK == FAILING_OP
static yiti_status run_never(yiti_device* device, yiti_stream* stream, const yiti_op_call* call,
                             yiti_message* message) {
  (void)device;
  (void)stream;
  return fail(message, YITI_STATUS_INTERNAL, "launch of %s failed: error -42", call->op);
}
#endif

#if BREAK == FAILING_LATER
static yiti_status copy_fails(yiti_device* device, yiti_stream* stream, void* target,
                              yiti_memory* source, uint64_t source_offset, uint64_t bytes,
                              yiti_message* message) {
  (void)device;
  (void)stream;
  (void)target;
  (void)source;
  (void)source_offset;
  (void)bytes;
  return fail(message, YITI_STATUS_UNAVAILABLE, "device lost");
}
#endif

#if BREAK != NO_ENTRY
YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry(void) {
  static yiti_device_plugin table;
  table = *template_entry();
#if BREAK == WRONG_ABI
  table.abi_version = 77;
#elif BREAK == SMALL_TABLE
  table.struct_size = 24;
#elif BREAK == MISSING_FUNCTION
  table.copy_on_device = NULL;
#elif BREAK == NO_DEVICE || BREAK == NO_DRIVER
  table.count = count_none;
#elif BREAK == LITTLE_MEMORY
  table.allocate = allocate_little;
#elif BREAK == FAILING_OP
  table.run_op = run_never;
#elif BREAK == FAILING_LATER
  table.copy_to_host = copy_fails;
#elif BREAK == NO_TABLE
  return NULL;
#elif BREAK == SMALL_WEIGHTS || BREAK == EMPTY_WEIGHTS
  static const yiti_weights weights = {BREAK == SMALL_WEIGHTS ? 8 : sizeof(yiti_weights), 0, NULL,
                                       NULL, NULL};
  table.weights = &weights;
#elif BREAK == OLDER_TABLE
  /* What lies behind it is no part of it. */
  table.struct_size = offsetof(yiti_device_plugin, weights);
  table.weights = (const yiti_weights*)1;
#endif
  return &table;
}
#endif
