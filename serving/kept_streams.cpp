#include "serving/kept_streams.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "serving/api_error.h"
#include "serving/exchange_link.h"
#include "serving/request_fields.h"
#include "serving/sse.h"

namespace yiti::serving {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostEnded = 64;
constexpr std::chrono::minutes kKeepEnded{10};

class Reader;

ApiError cancelled_error() {
  return {.message = "The stream was cancelled before it began", .code = "cancelled"};
}

}  // namespace

/// The exchange of what answers. It calls from the worker's thread; readers are on strands of their
/// own.
class KeptStream final : public Exchange, public std::enable_shared_from_this<KeptStream> {
 public:
  /// What there is for a reader.
  struct News {
    std::optional<HttpResponse> head;  // of the answer, once it is there
    bool streams = false;              // else the head is all of it
    std::string bytes;
    bool ended = false;
    bool lost = false;  // what the reader wants is not kept any more
  };

  KeptStream(Worker& worker, size_t max_bytes) : worker_(worker), max_bytes_(max_bytes) {}

  void begin(BeginActivity begin) {
    post([this, begin = std::move(begin)] {
      std::shared_ptr<Activity> activity = begin(*this);
      const std::lock_guard lock(mutex_);
      if (!ended_) activity_ = std::move(activity);
    });
  }
  /// From any thread.
  void cancel() {
    post([this] {
      if (const auto activity = end()) activity->client_gone();
    });
  }
  void attach(const std::shared_ptr<Reader>& reader);
  News read(uint64_t from) const;
  std::optional<Clock::time_point> ended_at() const {
    const std::lock_guard lock(mutex_);
    return ended_at_;
  }

  void respond(HttpResponse response) override {
    {
      const std::lock_guard lock(mutex_);
      head_ = std::move(response);
    }
    end();
  }
  void begin_stream(HttpResponse head) override {
    const std::lock_guard lock(mutex_);
    head_ = std::move(head);
    streams_ = true;
    tell();
  }
  bool write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    kept_ += bytes;
    if (kept_.size() > max_bytes_) {
      dropped_ += kept_.size() - max_bytes_;
      kept_.erase(0, kept_.size() - max_bytes_);
    }
    tell();
    return true;
  }
  void finish() override { end(); }
  void post(std::function<void()> work) override {
    worker_.post([self = shared_from_this(), work = std::move(work)] {
      try {
        work();
      } catch (const std::exception&) {  // such as for want of memory
        if (const auto activity = self->end()) activity->client_gone();
      }
    });
  }

 private:
  std::shared_ptr<Activity> end() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(ended_, true)) ended_at_ = Clock::now();
    tell();
    return std::exchange(activity_, nullptr);
  }
  void tell();  // with mutex_

  Worker& worker_;
  const size_t max_bytes_;
  mutable std::mutex mutex_;  // guards what follows
  std::optional<HttpResponse> head_;
  bool streams_ = false, ended_ = false;
  std::string kept_;
  uint64_t dropped_ = 0;  // bytes before kept_
  std::optional<Clock::time_point> ended_at_;
  std::shared_ptr<Activity> activity_;
  std::vector<std::weak_ptr<Reader>> readers_;
};

namespace {

// Sends a stream to a client. On the strand of the client's exchange, but for notify().
class Reader final : public Activity, public std::enable_shared_from_this<Reader> {
 public:
  Reader(std::shared_ptr<KeptStream> stream, uint64_t from, Exchange& exchange)
      : stream_(std::move(stream)), at_(from), link_(exchange) {}

  void notify() {
    if (!posted_.exchange(true)) link_.post([self = shared_from_this()] { self->send_news(); });
  }
  void client_gone() override { link_.take(); }
  void shut_down() override {
    Exchange* const exchange = link_.take();
    if (exchange == nullptr) return;
    if (!begun_) return exchange->respond(error_response(stopping_error()));
    if (exchange->write(sse_event(error_json(stopping_error())))) exchange->finish();
  }

 private:
  void send_news() {
    posted_ = false;
    Exchange* const exchange = link_.get();
    if (exchange == nullptr) return;
    const KeptStream::News news = stream_->read(at_);
    if (!news.head) {
      if (news.ended) link_.take()->respond(error_response(cancelled_error()));
      return;
    }
    if (!news.streams) return link_.take()->respond(*news.head);
    if (!std::exchange(begun_, true)) exchange->begin_stream(*news.head);
    at_ += news.bytes.size();
    if (!news.bytes.empty() && !exchange->write(news.bytes)) {
      link_.take();
    } else if (news.ended || news.lost) {
      link_.take()->finish();
    }
  }

  const std::shared_ptr<KeptStream> stream_;
  uint64_t at_;
  bool begun_ = false;
  ExchangeLink link_;  // cut: the answer is over
  std::atomic<bool> posted_ = false;
};

}  // namespace

void KeptStream::attach(const std::shared_ptr<Reader>& reader) {
  const std::lock_guard lock(mutex_);
  std::erase_if(readers_, [](const auto& one) { return one.expired(); });
  readers_.push_back(reader);
  reader->notify();
}

void KeptStream::tell() {
  for (const auto& weak : readers_) {
    if (const auto reader = weak.lock()) reader->notify();
  }
}

KeptStream::News KeptStream::read(uint64_t from) const {
  const std::lock_guard lock(mutex_);
  News news = {.head = head_, .streams = streams_, .bytes = {}, .ended = ended_};
  news.lost = from < dropped_ || from > dropped_ + kept_.size();
  if (!news.lost) news.bytes = kept_.substr(from - dropped_);
  return news;
}

// What answers may use its exchange, and so the worker, until it is told to stop.
KeptStreams::~KeptStreams() {
  for (const auto& [key, stream] : streams_) stream->cancel();
  std::promise<void> cancelled;
  worker_.post([&cancelled] { cancelled.set_value(); });
  cancelled.get_future().wait();
}

std::shared_ptr<Activity> KeptStreams::start(const std::string& key, BeginActivity begin,
                                             Exchange& exchange) {
  const auto stream = std::make_shared<KeptStream>(worker_, max_bytes_);
  const auto reader = std::make_shared<Reader>(stream, 0, exchange);
  stop(key);
  stream->attach(reader);
  {
    const std::lock_guard lock(mutex_);
    streams_[key] = stream;
    forget_old();
  }
  stream->begin(std::move(begin));
  return reader;
}

std::shared_ptr<Activity> KeptStreams::resume(const std::string& key, uint64_t from,
                                              Exchange& exchange) {
  StreamPtr stream;
  {
    const std::lock_guard lock(mutex_);
    forget_old();
    const auto found = streams_.find(key);
    if (found != streams_.end()) stream = found->second;
  }
  if (stream == nullptr) {
    throw ApiException({.status = 404,
                        .message = "There is no stream of that id, or it ended too long ago",
                        .param = "conv_id",
                        .code = "stream_not_found"});
  }
  if (stream->read(from).lost) {
    reject_field("from", "the stream does not hold its bytes from there on any more, or not yet");
  }
  const auto reader = std::make_shared<Reader>(stream, from, exchange);
  stream->attach(reader);
  return reader;
}

bool KeptStreams::holds(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return streams_.contains(key);
}

void KeptStreams::stop(const std::string& key) {
  StreamPtr stream;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(key);
    if (found == streams_.end()) return;
    stream = std::move(found->second);
    streams_.erase(found);
  }
  stream->cancel();
}

void KeptStreams::forget_old() {
  std::vector<std::pair<Clock::time_point, std::string>> ended;
  for (const auto& [key, stream] : streams_) {
    if (const auto at = stream->ended_at()) ended.emplace_back(*at, key);
  }
  std::ranges::sort(ended);
  const auto now = Clock::now();
  for (size_t i = 0; i < ended.size(); ++i) {
    if (ended.size() - i > kMostEnded || now - ended[i].first > kKeepEnded) {
      streams_.erase(ended[i].second);
    }
  }
}

}  // namespace yiti::serving
