#include "models/text/named_templates.h"

#include <algorithm>
#include <iterator>

namespace yiti {
namespace {

struct NamedTemplate {
  std::string_view name, source;
};

constexpr NamedTemplate kTemplates[] = {
    {"chatml",
     "{% for message in messages %}"
     "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"},
    {"command-r",
     "{% set names = {'system': 'SYSTEM', 'user': 'USER', 'assistant': 'CHATBOT'} %}"
     "{{ bos_token }}"
     "{% for message in messages %}"
     "{{ '<|START_OF_TURN_TOKEN|><|' + names[message.role] + '_TOKEN|>' + message.content | trim"
     " + '<|END_OF_TURN_TOKEN|>' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}"},
    {"llama3",
     "{{ bos_token }}"
     "{% for message in messages %}"
     "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim"
     " + '<|eot_id|>' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}"
     "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"},
    {"phi3",
     "{% for message in messages %}"
     "{{ '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"},
    {"zephyr",
     "{% for message in messages %}"
     "{{ '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"},
};

}  // namespace

std::optional<std::string_view> named_chat_template(std::string_view name) {
  const auto* const found = std::ranges::find(kTemplates, name, &NamedTemplate::name);
  if (found == std::end(kTemplates)) return std::nullopt;
  return found->source;
}

std::vector<std::string> chat_template_names() {
  std::vector<std::string> names;
  for (const NamedTemplate& one : kTemplates) names.emplace_back(one.name);
  return names;
}

}  // namespace yiti
