#include "devices/cuda/blas.h"

#include <cublasLt.h>

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "devices/cuda/shared_library.h"

namespace yiti::devices::cuda {
namespace {

// The library and the functions that are used, by their own names.
class Functions {
  SharedLibrary library_{fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR)};

 public:
#define YITI_FUNCTION(name) decltype(&::name) name = library_.find<decltype(&::name)>(#name)
  YITI_FUNCTION(cublasLtCreate);
  YITI_FUNCTION(cublasLtDestroy);
  YITI_FUNCTION(cublasLtGetStatusString);
  YITI_FUNCTION(cublasLtMatmulDescCreate);
  YITI_FUNCTION(cublasLtMatmulDescDestroy);
  YITI_FUNCTION(cublasLtMatmulDescSetAttribute);
  YITI_FUNCTION(cublasLtMatrixLayoutCreate);
  YITI_FUNCTION(cublasLtMatrixLayoutDestroy);
  YITI_FUNCTION(cublasLtMatmulPreferenceCreate);
  YITI_FUNCTION(cublasLtMatmulPreferenceDestroy);
  YITI_FUNCTION(cublasLtMatmulPreferenceSetAttribute);
  YITI_FUNCTION(cublasLtMatmulAlgoGetHeuristic);
  YITI_FUNCTION(cublasLtMatmul);
#undef YITI_FUNCTION
};

cudaDataType_t type_of(uint32_t dtype) {
  return dtype == YITI_DTYPE_BF16 ? CUDA_R_16BF : dtype == YITI_DTYPE_F16 ? CUDA_R_16F : CUDA_R_32F;
}

class LoadedBlas final : public Blas {
 public:
  LoadedBlas() { check(lt_.cublasLtCreate(&handle_), "cublasLtCreate"); }
  ~LoadedBlas() override { lt_.cublasLtDestroy(handle_); }

  void run(const BlasProduct& product, const Addresses& at, CUstream_st* stream) override {
    const std::lock_guard lock(mutex_);
    const Chosen& chosen = choose(product, at.bias);
    const float one = 1, beta = product.accumulates ? 1 : 0;
    void* workspace = at.workspace;
    size_t room = kWorkspace;
    std::align(kAlignment, kUsed, workspace, room);
    if (product.has_bias) {
      set(chosen.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, at.bias);
    }
    check(lt_.cublasLtMatmul(handle_, chosen.operation.get(), &one, at.left, chosen.left.get(),
                             at.right, chosen.right.get(), &beta, at.result, chosen.result.get(),
                             at.result, chosen.result.get(), &chosen.algorithm, workspace, kUsed,
                             stream),
          "cublasLtMatmul");
  }

 private:
  // The library wants its workspace at a multiple of 256 bytes.
  static constexpr size_t kAlignment = 256, kUsed = kWorkspace - kAlignment;

  // Objects that the library's own functions release.
  template <class T, auto kRelease>
  class Owned {
   public:
    explicit Owned(const Functions& lt) : lt_(&lt) {}
    Owned(Owned&& other) noexcept
        : lt_(other.lt_), object_(std::exchange(other.object_, nullptr)) {}
    Owned& operator=(Owned&&) = delete;
    ~Owned() {
      if (object_ != nullptr) (lt_->*kRelease)(object_);
    }
    T get() const { return object_; }
    T* room() { return &object_; }

   private:
    const Functions* lt_;
    T object_ = nullptr;
  };
  using Operation = Owned<cublasLtMatmulDesc_t, &Functions::cublasLtMatmulDescDestroy>;
  using Layout = Owned<cublasLtMatrixLayout_t, &Functions::cublasLtMatrixLayoutDestroy>;
  using Preference = Owned<cublasLtMatmulPreference_t, &Functions::cublasLtMatmulPreferenceDestroy>;

  struct Chosen {
    Operation operation;
    Layout left, right, result;
    cublasLtMatmulAlgo_t algorithm;
  };

  void check(cublasStatus_t status, const char* call) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    fail(YITI_STATUS_INTERNAL, "{}: {}", call, lt_.cublasLtGetStatusString(status));
  }

  Layout layout(uint64_t rows, uint64_t columns, int64_t step, uint32_t dtype) const {
    Layout made(lt_);
    check(lt_.cublasLtMatrixLayoutCreate(made.room(), type_of(dtype), rows, columns, step),
          "cublasLtMatrixLayoutCreate");
    return made;
  }

  template <class T>
  void set(const Operation& operation, cublasLtMatmulDescAttributes_t attribute, T value) const {
    check(lt_.cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof(value)),
          "cublasLtMatmulDescSetAttribute");
  }
  template <class T>
  void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
           T value) const {
    check(lt_.cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value,
                                                   sizeof(value)),
          "cublasLtMatmulPreferenceSetAttribute");
  }

  // The library chooses the same again for what was forgotten.
  const Chosen& choose(const BlasProduct& product, const void* bias) {
    constexpr size_t kMost = 4096;
    if (const auto found = chosen_.find(product); found != chosen_.end()) return found->second;
    if (chosen_.size() >= kMost) chosen_.clear();
    return chosen_.emplace(product, chosen(product, bias)).first->second;
  }

  Chosen chosen(const BlasProduct& p, const void* bias) const {
    Operation operation(lt_);
    check(lt_.cublasLtMatmulDescCreate(operation.room(), CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescCreate");
    const auto turn = [](const BlasMatrix& m) { return m.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, turn(p.left));
    set(operation, CUBLASLT_MATMUL_DESC_TRANSB, turn(p.right));
    if (p.has_bias) {
      set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    Preference preference(lt_);
    check(lt_.cublasLtMatmulPreferenceCreate(preference.room()), "cublasLtMatmulPreferenceCreate");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kUsed});
    for (const auto which :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      set(preference, which, p.alignment);
    }
    Layout left = layout(p.left.rows, p.left.columns, p.left.step, p.left.dtype);
    Layout right = layout(p.right.rows, p.right.columns, p.right.step, p.right.dtype);
    Layout result = layout(p.rows, p.columns, static_cast<int64_t>(p.rows), YITI_DTYPE_F32);
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    check(lt_.cublasLtMatmulAlgoGetHeuristic(handle_, operation.get(), left.get(), right.get(),
                                             result.get(), result.get(), preference.get(), 1, &best,
                                             &count),
          "cublasLtMatmulAlgoGetHeuristic");
    if (count == 0) fail(YITI_STATUS_UNIMPLEMENTED, "cuBLASLt has no algorithm for the product");
    return {std::move(operation), std::move(left), std::move(right), std::move(result), best.algo};
  }

  Functions lt_;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<BlasProduct, Chosen> chosen_;
};

std::optional<BlasMatrix> columns_of(const FloatMatrix& x) {
  const auto size = [](int64_t n) { return static_cast<uint64_t>(n); };
  // Rows of neighbours are columns of the transposed matrix, which is the one that is wanted.
  if (x.column_step == 1 && x.row_step >= x.columns) {
    return BlasMatrix{size(x.columns), size(x.rows), x.row_step, false, x.dtype};
  }
  if (x.row_step == 1 && x.column_step >= x.rows) {
    return BlasMatrix{size(x.rows), size(x.columns), x.column_step, true, x.dtype};
  }
  return std::nullopt;
}

}  // namespace

std::optional<BlasProduct> blas_product(const FloatProductCall& call) {
  const auto left = columns_of(call.b), right = columns_of(call.a);
  if (!left || !right) return std::nullopt;
  const uint64_t places = call.a.place.offset | call.b.place.offset | call.c.offset;
  const uint32_t element = call.b.dtype == YITI_DTYPE_F32 ? 4 : 2;
  return BlasProduct{*left,
                     *right,
                     static_cast<uint64_t>(call.b.columns),
                     static_cast<uint64_t>(call.a.rows),
                     static_cast<bool>(call.options.bias),
                     call.options.accumulates,
                     places % 16 == 0 ? 16 : element};
}

std::unique_ptr<Blas> Blas::open() { return std::make_unique<LoadedBlas>(); }

}  // namespace yiti::devices::cuda
