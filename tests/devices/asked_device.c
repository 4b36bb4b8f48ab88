/* The template that counts how often it is asked whether it runs an op. */
#define yiti_device_plugin_entry template_entry
#include "devices/template/template_device.c"
#undef yiti_device_plugin_entry

YITI_DEVICE_EXPORT int yiti_device_asked;

static yiti_status count_and_answer(yiti_device* device, const yiti_op_call* call,
                                    yiti_op_support* support, yiti_message* message) {
  ++yiti_device_asked;
  return supports_op(device, call, support, message);
}

YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry(void) {
  static yiti_device_plugin table;
  table = *template_entry();
  table.name = "asked";
  table.supports_op = count_and_answer;
  return &table;
}
