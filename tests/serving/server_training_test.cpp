// The routes for files, jobs and adapters, over runners that train nothing.
#include <gmock/gmock.h>

#include <future>
#include <list>
#include <set>

#include "tests/core/io/temporary_folder.h"
#include "tests/serving/fake_jobs.h"
#include "tests/serving/server_fixture.h"

namespace yiti::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FakeAdapters : public AdapterHost {
 public:
  void load_adapter(const std::string& name, const std::string& path, bool replace) override {
    if (path.starts_with("..")) fail(Code::kInvalidArgument, "adapters", "'{}' is outside", path);
    if (!names.insert(name).second && !replace) {
      fail(Code::kAlreadyExists, "adapters", "'{}' is loaded already", name);
    }
  }
  void unload_adapter(const std::string& name) override {
    if (names.erase(name) == 0) fail(Code::kNotFound, "adapters", "'{}' is not loaded", name);
  }
  std::vector<ModelVersion> versions(std::string_view name) override {
    if (!names.contains(std::string(name))) return {};
    return {{.number = 1, .created_unix_s = 1700000000, .is_served = true}};
  }
  void serve_version(std::string_view, int64_t) override {}
  std::set<std::string> names;
};

class ServerTrainingTest : public ServerTest {
 protected:
  ServerTrainingTest() {
    options.registry = models_;
    options.jobs = &jobs_;
    options.files = &files_;
    options.adapters = &adapters_;
  }
  ~ServerTrainingTest() override { TearDown(); }

  ClientResponse send(std::string_view method, std::string_view path, std::string_view body = {},
                      std::string_view headers = {}) {
    return HttpClient(server->port()).request(method, path, body, headers);
  }
  ClientResponse upload(const std::string& contents, const std::string& purpose = "fine-tune",
                        const std::string& name = "train.jsonl") {
    const std::string body =
        "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" + purpose +
        "\r\n--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
        "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + contents + "\r\n--XX--\r\n";
    return send("POST", "/v1/files", body, "Content-Type: multipart/form-data; boundary=XX\r\n");
  }
  static Json json_of(const ClientResponse& response) { return Json::parse(response.body); }
  static std::string error_code(const ClientResponse& response) {
    return json_of(response)["error"]["code"].get<std::string>();
  }
  static FileStoreOptions store_options(const std::string& folder) {
    FileStoreOptions wanted = {.folder = folder, .max_file_bytes = 1 << 20};
    wanted.check_training_data = [](std::string_view name, std::string_view contents) {
      if (contents.find("bad") == std::string_view::npos) return;
      fail(Code::kInvalidArgument, "jsonl", "{}:1: no JSON", name);
    };
    return wanted;
  }

  TemporaryFolder folder_;
  std::shared_ptr<ModelRegistry> models_ = std::make_shared<ModelRegistry>();
  FakeJobs jobs_{models_};
  FileStore files_{store_options(folder_ / "files")};
  FakeAdapters adapters_;
};

TEST_F(ServerTrainingTest, HasNoneOfItUnlessItIsGiven) {
  options.jobs = nullptr;
  options.files = nullptr;
  options.adapters = nullptr;
  start();
  for (const char* path : {"/v1/fine_tuning/jobs", "/v1/fine_tuning/jobs/ftjob-1"}) {
    EXPECT_EQ(get(path).status, 404);
    EXPECT_EQ(error_code(get(path)), "fine_tuning_disabled");
  }
  EXPECT_EQ(error_code(get("/v1/files")), "files_disabled");
  const Json adapter = {{"lora_name", "a"}, {"lora_path", "b"}};
  EXPECT_EQ(error_code(post("/v1/load_lora_adapter", adapter)), "adapters_disabled");
}

TEST_F(ServerTrainingTest, StoresListsAndDeletesFiles) {
  start();
  const std::string contents = "{\"text\": \"a\"}\r\n{\"text\": \"b\"}";
  const ClientResponse stored = upload(contents);
  ASSERT_EQ(stored.status, 200) << stored.body;
  const Json file = json_of(stored);
  const std::string id = file["id"].get<std::string>();
  EXPECT_EQ(file["object"], "file");
  EXPECT_EQ(file["bytes"], contents.size());
  EXPECT_EQ(file["filename"], "train.jsonl");
  EXPECT_EQ(file["status"], "processed");
  EXPECT_EQ(json_of(get("/v1/files/" + id)), file);
  const ClientResponse read = get("/v1/files/" + id + "/content");
  EXPECT_EQ(read.body, contents);
  EXPECT_EQ(read.headers.at("x-content-type-options"), "nosniff");
  upload("second");
  const Json page = json_of(get("/v1/files?limit=1"));
  EXPECT_EQ(page["data"].size(), 1U);
  EXPECT_EQ(page["has_more"], true);
  const std::string after = page["last_id"].get<std::string>();
  EXPECT_EQ(json_of(get("/v1/files?after=" + after))["data"][0]["id"], id);
  EXPECT_EQ(json_of(get("/v1/files?order=asc"))["data"][0]["id"], id);
  EXPECT_TRUE(json_of(get("/v1/files?purpose=fine-tune-results"))["data"].empty());
  EXPECT_EQ(json_of(send("DELETE", "/v1/files/" + id))["deleted"], true);
  EXPECT_EQ(error_code(get("/v1/files/" + id)), "file_not_found");
  EXPECT_EQ(send("DELETE", "/v1/files/" + id).status, 404);
}

TEST_F(ServerTrainingTest, RefusesUploadsThatMakeNoSense) {
  start();
  EXPECT_EQ(json_of(upload("x", "assistants"))["error"]["param"], "purpose");
  const ClientResponse bad = upload("bad", "fine-tune", "b.jsonl");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(error_code(bad), "invalid_file_format");
  EXPECT_THAT(bad.body, HasSubstr("b.jsonl:1: no JSON"));
  EXPECT_EQ(post("/v1/files", Json::object()).status, 415);
  const char* form = "Content-Type: multipart/form-data; boundary=XX\r\n";
  EXPECT_EQ(send("POST", "/v1/files", "--XX--", form).status, 400);
  EXPECT_EQ(send("POST", "/v1/files", "junk", form).status, 400);
  EXPECT_TRUE(files_.list().empty());
}

TEST_F(ServerTrainingTest, AnUploadMayBeLargerThanOtherBodies) {
  options.max_body_bytes = 1 << 10;
  start();
  EXPECT_EQ(upload(std::string(100 << 10, 'x')).status, 200);
  EXPECT_EQ(upload(std::string(2 << 20, 'x')).status, 413);
  EXPECT_EQ(post("/v1/completions", completion(std::string(2 << 10, 'x'))).status, 413);
}

TEST_F(ServerTrainingTest, NoIdReachesTheFileSystem) {
  start();
  for (const char* path : {"/v1/files/..%2f..%2fetc%2fpasswd", "/v1/files/%2e%2e/content",
                           "/v1/files/..%2fsecret/content"}) {
    EXPECT_EQ(get(path).status, 404) << path;
    EXPECT_EQ(send("DELETE", path).status >= 404, true) << path;
  }
}

TEST_F(ServerTrainingTest, ShowsJobs) {
  jobs_.add(JobStatus::kSucceeded);
  jobs_.add(JobStatus::kRunning);
  start();
  const Json list = json_of(get("/v1/fine_tuning/jobs?limit=1"));
  EXPECT_EQ(list["data"][0]["id"], "ftjob-2");
  EXPECT_EQ(list["has_more"], true);
  const std::string job = "/v1/fine_tuning/jobs/ftjob-2";
  EXPECT_EQ(json_of(get(job))["status"], "running");
  EXPECT_EQ(json_of(get(job + "/events"))["data"][0]["id"], "ftevent-2");
  EXPECT_EQ(json_of(get(job + "/checkpoints"))["data"][0]["fine_tuning_job_id"], "ftjob-2");
  EXPECT_EQ(get("/v1/fine_tuning/jobs/x").status, 404);
  EXPECT_EQ(get("/v1/fine_tuning/jobs/x/events").status, 404);
  EXPECT_EQ(get("/v1/fine_tuning/jobs/x/checkpoints").status, 404);
  EXPECT_EQ(get("/v1/fine_tuning/jobs?limit=x").status, 400);
}

TEST_F(ServerTrainingTest, CreatesAndSteersJobs) {
  start();
  const ClientResponse created =
      post("/v1/fine_tuning/jobs",
           {{"model", "fake/model"}, {"training_file", "file-1"}, {"seed", 3}, {"suffix", "mine"}});
  ASSERT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(json_of(created)["status"], "validating_files");
  EXPECT_EQ(json_of(created)["user_provided_suffix"], "mine");
  const std::string job = "/v1/fine_tuning/jobs/" + json_of(created)["id"].get<std::string>();
  EXPECT_EQ(json_of(send("POST", job + "/pause"))["status"], "paused");
  EXPECT_EQ(json_of(send("POST", job + "/resume"))["status"], "queued");
  EXPECT_EQ(json_of(send("POST", job + "/cancel"))["status"], "cancelled");
  EXPECT_EQ(send("POST", job + "/cancel").status, 400);
  EXPECT_EQ(send("POST", "/v1/fine_tuning/jobs/x/cancel").status, 404);
  const ClientResponse lost =
      post("/v1/fine_tuning/jobs", {{"model", "fake/model"}, {"training_file", "file-none"}});
  EXPECT_EQ(lost.status, 404);
}

TEST_F(ServerTrainingTest, TellsWhichMethodsAPathTakes) {
  start();
  const ClientResponse refused = send("PUT", "/v1/fine_tuning/jobs");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers.at("allow"), "POST, GET, HEAD, OPTIONS");
  EXPECT_EQ(send("OPTIONS", "/v1/files/x").headers.at("allow"), "GET, HEAD, DELETE, OPTIONS");
}

TEST_F(ServerTrainingTest, AModelThatIsDeletedFinishesWhatItBegan) {
  start();
  auto owner = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = owner;
  ServedModel tuned = options.models[0];
  tuned.name = "ft:fake/model:yiti::1";
  tuned.parent = "fake/model";
  tuned.owner = std::move(owner);
  models_->add(std::move(tuned));
  EXPECT_EQ(json_of(get("/v1/models/ft:fake/model:yiti::1"))["parent"], "fake/model");
  generator.hold();
  HttpClient client(server->port());
  Json body = chat("say:still here");
  body["model"] = "ft:fake/model:yiti::1";
  client.send_request("POST", "/v1/chat/completions", body.dump());
  ASSERT_TRUE(eventually([&] { return generator.under_way() == 1; }));
  const Json deleted = json_of(send("DELETE", "/v1/models/ft:fake/model:yiti::1"));
  EXPECT_EQ(deleted["deleted"], true);
  EXPECT_EQ(get("/v1/models/ft:fake/model:yiti::1").status, 404);
  EXPECT_FALSE(watched.expired());
  generator.release();
  EXPECT_THAT(client.read_response().body, HasSubstr("still here"));
  EXPECT_TRUE(eventually([&] { return watched.expired(); }));
}

TEST_F(ServerTrainingTest, AnswersForAnAdapterAsForItsBase) {
  start();
  FakeGenerator other;
  other.set_context_length(64);
  ServedModel tuned = options.models[0];
  tuned.name = "tuned";
  tuned.parent = "fake/model";
  tuned.path = "adapters/tuned";
  tuned.generator = &other;
  models_->add(tuned);
  EXPECT_EQ(json_of(post("/tokenize", {{"model", "tuned"}, {"prompt", "a"}}))["max_model_len"], 64);
  EXPECT_EQ(post("/detokenize", {{"model", "tuned"}, {"tokens", {97}}}).status, 200);
  EXPECT_EQ(json_of(post("/v1/embeddings", {{"model", "tuned"}, {"input", "a"}}))["model"],
            "tuned");
  EXPECT_EQ(json_of(get("/props?model=tuned"))["model_path"], "adapters/tuned");
  EXPECT_EQ(json_of(get("/slots?model=tuned"))[0]["n_ctx"], 64);
  EXPECT_EQ(get("/props?model=nothing").status, 404);
  EXPECT_EQ(json_of(get("/props"))["model_alias"], "fake/model");  // the base, as there is one only
  EXPECT_EQ(json_of(post("/tokenize", {{"prompt", "a"}}))["max_model_len"], 2048);
  post("/v1/completions", {{"model", "tuned"}, {"prompt", "say:ab"}});
  const std::string counted = "vllm:generation_tokens_total{model_name=\"tuned\"} ";
  EXPECT_THAT(get("/metrics").body, HasSubstr(counted + "2\n"));
  models_->remove("tuned");
  EXPECT_THAT(get("/metrics").body, Not(HasSubstr("tuned")));
  other.stall_for(61);
  EXPECT_EQ(get("/health").status, 200);
  models_->add(tuned);
  EXPECT_EQ(get("/health").status, 503);
  models_->remove("tuned");
}

TEST_F(ServerTrainingTest, DeletesOnlyWhatAJobMade) {
  start();
  const ClientResponse refused = send("DELETE", "/v1/models/fake/model");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(error_code(refused), "model_not_deletable");
  EXPECT_EQ(send("DELETE", "/v1/models/nothing").status, 404);
}

TEST_F(ServerTrainingTest, LoadsAndUnloadsAdapters) {
  start();
  const Json adapter = {{"lora_name", "a"}, {"lora_path", "b"}};
  const ClientResponse loaded = post("/v1/load_lora_adapter", adapter);
  EXPECT_EQ(loaded.status, 200);
  EXPECT_THAT(loaded.body, HasSubstr("Success"));
  EXPECT_EQ(post("/v1/load_lora_adapter", adapter).status, 409);
  Json again = adapter;
  again["load_inplace"] = true;
  EXPECT_EQ(post("/v1/load_lora_adapter", again).status, 200);
  EXPECT_EQ(post("/v1/load_lora_adapter", {{"lora_name", "c"}, {"lora_path", "../x"}}).status, 400);
  EXPECT_EQ(post("/v1/load_lora_adapter", {{"lora_name", "c"}}).status, 400);
  EXPECT_EQ(post("/v1/unload_lora_adapter", {{"lora_name", "a"}}).status, 200);
  EXPECT_EQ(post("/v1/unload_lora_adapter", {{"lora_name", "a"}}).status, 404);
}

TEST_F(ServerTrainingTest, RollsAModelBackToAnEarlierVersion) {
  start();
  const auto served = [](const ClientResponse& response) {
    const Json versions = json_of(response)["data"];
    std::vector<int64_t> numbers;
    for (const Json& one : versions) {
      if (one["served"].get<bool>()) numbers.push_back(one["version"].get<int64_t>());
    }
    return numbers;
  };
  const std::string model = "/v1/models/ft%3Aversions";
  const Json first = json_of(get(model + "/versions"))["data"][0];
  EXPECT_EQ(first, Json({{"object", "model.version"},
                         {"version", 5},
                         {"created_at", 1700000005},
                         {"served", false}}));
  EXPECT_EQ(served(get(model + "/versions")), std::vector<int64_t>{15});
  EXPECT_EQ(served(post(model + "/rollback", Json::object())), std::vector<int64_t>{10});
  EXPECT_EQ(served(post(model + "/rollback", {{"version", 5}})), std::vector<int64_t>{5});
  const ClientResponse none = post(model + "/rollback", Json::object());
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(error_code(none), "version_not_found");
  EXPECT_EQ(served(post(model + "/rollback", {{"version", 15}})), std::vector<int64_t>{15});
  EXPECT_EQ(post(model + "/rollback", {{"version", 6}}).status, 404);
  EXPECT_EQ(post(model + "/rollback", {{"version", "5"}}).status, 400);
  EXPECT_EQ(post(model + "/rollback", {{"versions", 5}}).status, 400);
  EXPECT_EQ(post(model + "/rollback", Json::array()).status, 400);
  EXPECT_EQ(get("/v1/models/fake/model/versions").status, 404);
  EXPECT_EQ(post("/v1/models/nothing/rollback", Json::object()).status, 404);
  post("/v1/load_lora_adapter", {{"lora_name", "a"}, {"lora_path", "b"}});
  EXPECT_EQ(served(get("/v1/models/a/versions")), std::vector<int64_t>{1});
}

TEST_F(ServerTrainingTest, OtherRequestsDoNotWaitForAnUpload) {
  options.io_threads = 1;
  std::promise<void> checked;
  FileStoreOptions wanted = {.folder = folder_ / "slow"};
  wanted.check_training_data = [&](std::string_view, std::string_view) {
    checked.get_future().wait();
  };
  FileStore slow(wanted);
  options.files = &slow;
  start();
  auto uploaded = std::async(std::launch::async, [&] { return upload("x"); });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/health").status, 200);
  EXPECT_TRUE(slow.list().empty());
  checked.set_value();
  EXPECT_EQ(uploaded.get().status, 200);
  EXPECT_EQ(slow.list().size(), 1U);
  server->stop();
}

TEST_F(ServerTrainingTest, AStopEndsAnUploadThatTakesTooLong) {
  options.grace = std::chrono::milliseconds(10);
  std::promise<void> begun, checked;
  FileStoreOptions wanted = {.folder = folder_ / "slow"};
  wanted.check_training_data = [&](std::string_view, std::string_view) {
    begun.set_value();
    checked.get_future().wait();
  };
  FileStore slow(wanted);
  options.files = &slow;
  start();
  auto uploaded = std::async(std::launch::async, [&] { return upload("x"); });
  begun.get_future().wait();
  server->stop();
  EXPECT_EQ(uploaded.get().status, 503);
  checked.set_value();
  server.reset();
}

TEST_F(ServerTrainingTest, HoldsFewLargeBodiesAtOnce) {
  options.max_body_bytes = 1 << 10;
  start();
  const char* head =
      "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nExpect: 100-continue"
      "\r\nContent-Type: multipart/form-data; boundary=XX\r\n\r\n";
  std::list<HttpClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(head);
    EXPECT_TRUE(clients.back().read_until("100 Continue")) << i;
  }
  const ClientResponse refused = upload(std::string(2 << 10, 'x'));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { return upload("x").status == 200; }));
}

TEST_F(ServerTrainingTest, TakesNoFormFromAPageOfAnotherSite) {
  start();
  const std::string form = "Content-Type: multipart/form-data; boundary=XX\r\n";
  const ClientResponse refused =
      send("POST", "/v1/files", "--XX--", form + "Origin: http://evil.example\r\n");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(error_code(refused), "cross_site");
  EXPECT_EQ(send("POST", "/v1/fine_tuning/jobs/x/cancel", "", "Origin: null\r\n").status, 403);
  const std::string own = form + "Origin: http://localhost\r\n";
  EXPECT_EQ(send("POST", "/v1/files", "--XX--", own).status, 400);
}

TEST_F(ServerTrainingTest, TakesFormsFromPagesThatMayAsk) {
  options.cors_origins = {"http://a.example"};
  options.api_keys = {"secret"};
  start();
  const std::string form =
      "Content-Type: multipart/form-data; boundary=XX\r\nAuthorization: Bearer secret\r\n";
  const ClientResponse taken =
      send("POST", "/v1/files", "--XX--", form + "Origin: http://a.example\r\n");
  EXPECT_EQ(taken.status, 400);  // no file is in it
  EXPECT_EQ(taken.headers.at("access-control-allow-origin"), "http://a.example");
  EXPECT_EQ(send("POST", "/v1/files", "--XX--", form + "Origin: http://b.example\r\n").status, 403);
  const std::string asks = "Origin: http://a.example\r\nAccess-Control-Request-Method: DELETE\r\n";
  for (const char* path : {"/v1/files", "/v1/files/x", "/v1/fine_tuning/jobs/x/cancel", "/no"}) {
    const ClientResponse asked = send("OPTIONS", path, {}, asks);
    EXPECT_EQ(asked.status, 200) << path;
    EXPECT_THAT(asked.headers.at("access-control-allow-methods"), HasSubstr("DELETE"));
  }
}

}  // namespace
}  // namespace yiti::testing
