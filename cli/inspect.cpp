// yiti inspect: what is in a model file, and what its session would do.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/io/gguf.h"
#include "core/io/safetensors.h"

namespace yiti::cli {
namespace {

struct InspectOptions {
  std::string path;
  bool tensors = false;
  bool session = false;
  DeviceChoice device;
};

std::string describe(const GgufValue& value) {
  return std::visit(
      [&](const auto& item) -> std::string {
        using T = std::remove_cvref_t<decltype(item)>;
        if constexpr (std::is_same_v<T, GgufArray>) {
          return fmt::format("{} ({} items)", gguf_type_name(value), item.size());
        } else if constexpr (std::is_same_v<T, std::string>) {
          const std::string shown = item.size() > 100 ? item.substr(0, 100) + "…" : item;
          std::string line;
          for (char c : shown) line += c == '\n' ? std::string("\\n") : std::string(1, c);
          return line;
        } else {
          return fmt::format("{}", item);
        }
      },
      value);
}

void print_tensor(std::string_view name, std::string_view type, const Shape& shape, size_t bytes) {
  print(fmt::format("  {:<60} {:<6} {:<18} {:>12}\n", name, type, shape.str(), bytes));
}

void inspect_gguf(const std::string& path, const DevicePtr& device, bool tensors) {
  const auto file = GgufFile::open(path, device);
  print(fmt::format("{}: GGUF version {}, {} tensors\n", path, file->version(),
                    file->tensors().size()));
  for (const auto& [key, value] : file->metadata().entries()) {
    print(fmt::format("  {:<44} {}\n", key, describe(value)));
  }
  size_t total = 0;
  for (const GgufTensorInfo& info : file->tensors()) {
    if (tensors) print_tensor(info.name, info.type->name, info.shape, info.bytes);
    total += info.bytes;
  }
  print(fmt::format("  {} bytes of tensors\n", total));
}

void inspect_safetensors(const std::string& path, const DevicePtr& device, bool tensors) {
  const Safetensors files = Safetensors::open(path, device);
  print(fmt::format("{}: safetensors, {} tensors in {} files\n", path, files.names().size(),
                    files.files().size()));
  size_t total = 0;
  for (const std::string& tensor_name : files.names()) {
    const SafetensorsInfo& info = files.info(tensor_name);
    if (tensors) print_tensor(tensor_name, name(info.dtype), info.shape, info.bytes);
    total += info.bytes;
  }
  print(fmt::format("  {} bytes of tensors\n", total));
}

void inspect_model(const std::string& path, const DevicePtr& device) {
  Result<LoadedModel> loaded = load_model(path, device);
  if (!loaded) {
    note(fmt::format("no session can be made of it: {}", loaded.error().what()));
    return;
  }
  const ModelConfig& c = loaded.value().model->config();
  print(
      fmt::format("model {} ({}): {} layers, hidden {}, {} heads of {} ({} for keys and values), "
                  "vocabulary {}, context {}\n",
                  loaded.value().name, c.architecture, c.layers, c.hidden_size, c.heads, c.head_dim,
                  c.kv_heads, c.vocab_size, c.context_length));
  if (!loaded.value().text) print(fmt::format("  no tokenizer: {}\n", loaded.value().text_error));
  const LanguageSession session(loaded.value().model, {.max_tokens = 2048});
  print(session.explain());
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Show what is in a model file, and what its inference session would do");
  command->add_option("FILE", options->path, "A GGUF or safetensors file, or a folder")
      ->required()
      ->check(CLI::ExistingPath);
  command->add_flag("--tensors", options->tensors, "List every tensor");
  command->add_flag("!--no-session", options->session, "Do not prepare a session");
  options->session = true;
  options->device.add(*command);
  command->callback([&action, options] {
    action = [options] {
      const DevicePtr device = make_cpu_device();
      const bool folder = std::filesystem::is_directory(options->path);
      const bool safetensors =
          folder || options->path.ends_with(".safetensors") || options->path.ends_with(".json");
      if (safetensors) {
        inspect_safetensors(options->path, device, options->tensors);
      } else {
        inspect_gguf(options->path, device, options->tensors);
      }
      if (options->session && (folder || !safetensors)) {
        inspect_model(options->path, options->device.open(0));
      }
      return 0;
    };
  });
}

}  // namespace yiti::cli
