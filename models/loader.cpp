#include "models/loader.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>

#include "core/io/files.h"
#include "core/io/gguf.h"
#include "core/io/json.h"
#include "core/io/safetensors.h"
#include "core/plugin/device_plugin.h"
#include "core/shape_text.h"
#include "ops/attention/kv_types.h"
#include "ops/linear/dequantise.h"
#include "ops/linear/panels.h"
#include "ops/shape/cast.h"

namespace yiti {
namespace {

namespace fs = std::filesystem;
using Named = ParameterStore::Named;

constexpr auto kThreadIfThereIsOne = std::launch::async | std::launch::deferred;
constexpr size_t kMaxConfigBytes = size_t{16} << 20;

struct NamePair {
  std::string_view gguf, hugging_face;
};

constexpr NamePair kTopNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

constexpr NamePair kBlockNames[] = {
    {"attn_norm", "input_layernorm"},    {"ffn_norm", "post_attention_layernorm"},
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; empty: not a parameter.
std::string hugging_face_name(std::string_view name) {
  for (const NamePair& pair : kTopNames) {
    if (pair.gguf == name) return std::string(pair.hugging_face);
  }
  if (name == "rope_freqs.weight") return "";
  if (name.starts_with("blk.")) {
    const std::string_view rest = name.substr(4);
    const size_t first = rest.find('.'), last = rest.rfind('.');
    if (first != std::string_view::npos && first < last) {
      const std::string_view middle = rest.substr(first + 1, last - first - 1);
      for (const NamePair& pair : kBlockNames) {
        if (pair.gguf == middle) {
          return fmt::format("model.layers.{}.{}{}", rest.substr(0, first), pair.hugging_face,
                             rest.substr(last));
        }
      }
    }
  }
  fail(Code::kUnimplemented, "gguf", "tensor {} belongs to no architecture that yiti has", name);
}

// GGUF's llama keeps the two halves of a head's rows interleaved: row 2i+j of a head is row
// i + j·D/2 of Hugging Face's. Gives the rows (or a bias's elements) their order back.
Tensor unpermute(const Tensor& tensor, int64_t heads) {
  const int64_t rows = tensor.dim(0), head_dim = rows / heads;
  const size_t row_bytes = tensor.bytes() / static_cast<size_t>(rows);
  const auto storage = Storage::allocate(tensor.device(), tensor.bytes());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t head = row / head_dim, within = row % head_dim;
    const int64_t half = head_dim / 2;
    const int64_t from = head * head_dim + 2 * (within % half) + within / half;
    std::memcpy(storage->data() + static_cast<size_t>(row) * row_bytes,
                tensor.raw() + static_cast<size_t>(from) * row_bytes, row_bytes);
  }
  return Tensor::of_storage(storage, 0, tensor.shape(), tensor.dtype());
}

int64_t permuted_heads(const std::string& name, const ModelConfig& config) {
  if (config.architecture != "llama") return 0;
  if (name.find("self_attn.q_proj.") != std::string::npos) return config.heads;
  if (name.find("self_attn.k_proj.") != std::string::npos) return config.kv_heads;
  return 0;
}

// As the options want it: dequantised, or packed for the kernels of the host, or as it is.
void prepare(std::span<Tensor> tensors, const Device& target, const LoadOptions& options) {
  if (!options.dequantise && target.host_accessible()) pack_panels(tensors);
  for (Tensor& tensor : tensors) {
    if (is_quantised(tensor.dtype())) {
      if (options.dequantise) tensor = ops::dequantise(tensor);
    } else if (options.dequantise || tensor.rank() < 2) {
      if (tensor.dtype() != DType::kF32) tensor = ops::cast(tensor, DType::kF32);
    }
  }
}

// In the device's memory, and in its layout. That of the host has huge pages: decoding reads all
// weights for each token, and the addresses of a mapped file's small pages cost it a tenth of its
// speed.
Tensor off_the_file(const Tensor& tensor, const std::shared_ptr<Storage>& file,
                    const DevicePtr& target) {
  if (tensor.device() != target) return packed_weight(tensor.on(target));
  return tensor.storage() == file ? tensor.copy() : tensor;
}

bool all_float32(const std::vector<Named>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const Named& named) { return named.tensor.dtype() == DType::kF32; });
}

ModelConfig stretched(const ModelConfig& config, const LoadOptions& options) {
  if (!options.rope) return config;
  return with_rope_scaling(config, options.rope->type, options.rope->factor);
}

ModelPtr assemble(const ModelConfig& config, std::vector<Named> tensors,
                  const LoadOptions& options) {
  NumericProfile profile;
  profile.kv = options.kv.value_or(all_float32(tensors) ? DType::kF32 : DType::kF16);
  kv_type(name(profile.kv), "model");
  profile.exact_activations = options.exact_activations;
  return make_model(config, std::make_shared<ParameterStore>(std::move(tensors)), profile);
}

// Tensors of a GGUF file that are taken at once: enough for all threads to have their part, few
// enough that the file's pages and their copies do not add up.
class GgufGroup {
 public:
  GgufGroup(const GgufFile& file, DevicePtr target) : file_(file), target_(std::move(target)) {}

  void add(const GgufTensorInfo& info, std::string name, const ModelConfig& config) {
    Tensor tensor = file_.get().tensor(info.name);
    mapped_.push_back(tensor.storage());
    part_ = info.part;
    begin_ = std::min(begin_, info.offset);
    end_ = std::max(end_, info.offset + info.bytes);
    if (const int64_t heads = permuted_heads(name, config); heads > 0) {
      check(tensor.dim(0) == heads * config.head_dim, "gguf", "{} is {}; wants {} rows", info.name,
            tensor.shape(), heads * config.head_dim);
      tensor = unpermute(tensor, heads);
    }
    names_.push_back(std::move(name));
    tensors_.push_back(std::move(tensor));
    bytes_ += info.bytes;
  }
  bool is_full() const { return bytes_ >= kBytes; }
  bool is_in(size_t part) const { return tensors_.empty() || part_ == part; }

  void move_to(std::vector<Named>& out, const LoadOptions& options) {
    prepare(tensors_, *target_, options);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      out.push_back({std::move(names_[i]), off_the_file(tensors_[i], mapped_[i], target_)});
    }
    if (begin_ < end_) file_.get().release_pages(part_, begin_, end_);
    *this = GgufGroup(file_, target_);
  }

 private:
  static constexpr size_t kBytes = size_t{8} << 20;

  std::reference_wrapper<const GgufFile> file_;
  DevicePtr target_;
  std::vector<std::shared_ptr<Storage>> mapped_;
  std::vector<std::string> names_;
  std::vector<Tensor> tensors_;
  size_t bytes_ = 0;
  size_t part_ = 0, begin_ = SIZE_MAX, end_ = 0;  // where in the files they lie
};

LoadedModel load_gguf(const GgufFile& file, const std::string& path, const DevicePtr& device,
                      const LoadOptions& options) {
  const ModelConfig config = stretched(config_from_gguf(file), options);
  std::vector<Named> tensors;
  GgufGroup group(file, device);
  for (const GgufTensorInfo& info : file.tensors()) {
    std::string name = hugging_face_name(info.name);
    if (name.empty()) continue;
    if (!group.is_in(info.part)) group.move_to(tensors, options);
    group.add(info, std::move(name), config);
    if (group.is_full()) group.move_to(tensors, options);
  }
  group.move_to(tensors, options);
  LoadedModel loaded;
  loaded.model = assemble(config, std::move(tensors), options);
  loaded.name = file.metadata().get_or<std::string>("general.name", fs::path(path).stem().string());
  return loaded;
}

LoadedModel load_folder(const std::string& path, const DevicePtr& device,
                        const LoadOptions& options) {
  const std::string config_path = (fs::path(path) / "config.json").string();
  const ModelConfig config = stretched(
      config_from_json(parse_json(read_file(config_path, kMaxConfigBytes), config_path)), options);
  const Safetensors files = Safetensors::open(path, device->host());
  std::vector<Named> tensors;
  for (const std::string& name : files.names()) {
    if (name.ends_with(".rotary_emb.inv_freq")) continue;
    if (name == "lm_head.weight" && config.tied_embeddings) continue;
    const Tensor mapped = files.tensor(name);
    Tensor tensor = mapped;
    prepare({&tensor, 1}, *device, options);
    tensors.push_back({name, off_the_file(tensor, mapped.storage(), device)});
    files.release_pages(name);
  }
  LoadedModel loaded;
  loaded.model = assemble(config, std::move(tensors), options);
  loaded.name = fs::weakly_canonical(path).filename().string();
  return loaded;
}

}  // namespace

Result<LoadedModel> load_model(const std::string& path, const DevicePtr& device,
                               const LoadOptions& options) {
  return capture_errors("model", [&] {
    if (!fs::exists(path)) fail(Code::kNotFound, "model", "{} does not exist", path);
    const std::shared_ptr<const GgufFile> file =
        fs::is_directory(path) ? nullptr : GgufFile::open(path, device->host());
    // The tokenizer's tables take one thread about as long as the weights take all of them.
    std::future<Result<TextModel>> reading = std::async(
        device->threads().size() > 1 ? kThreadIfThereIsOne : std::launch::deferred,
        [&] { return file ? text_model_from_gguf(file->metadata()) : load_text_model(path); });
    LoadedModel loaded =
        file ? load_gguf(*file, path, device, options) : load_folder(path, device, options);
    Result<TextModel> text = reading.get();
    if (text) {
      loaded.text = std::move(text.value());
    } else {
      loaded.text_error = text.error().what();
    }
    return loaded;
  });
}

}  // namespace yiti
