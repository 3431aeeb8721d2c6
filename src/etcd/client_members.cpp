// The members: where they are, with what they are spoken to, and whether those that failed are well
// again.
#include <algorithm>
#include <utility>

#include "etcd/client_impl.hpp"
#include "etcd/failure.hpp"
#include "vipd/log.hpp"

namespace vipd::etcd {
namespace {

// A watch is confirmed within milliseconds by a member that lives and is not busy.
constexpr Duration kUnconfirmed = Duration::milliseconds(200);

std::vector<Endpoint> parsed(const std::vector<std::string>& texts) {
  std::vector<Endpoint> out;
  for (const std::string& text : texts) {
    Endpoint endpoint;
    std::string reason;
    if (parse_endpoint(text, &endpoint, &reason)) {
      out.push_back(std::move(endpoint));
    } else {
      log::error("etcd: endpoint %s %s", text.c_str(), reason.c_str());
    }
  }
  return out;
}

}  // namespace

void Client::Impl::configure(Options o) {
  options = std::move(o);
  configured = parsed(options.endpoints);
  if (!options.discover) discovery.used.clear();
  discovery.listed.clear();
  discovery.passed_over.clear();
  discovery.next = MonoTime::long_ago();
  const AuthSettings who = {options.user, options.password_file};
  if (auth.settings() != who) auth = Auth(who);
  endpoints.ask_every(options.ask_every);
  set_up_connections();

  stream_headers = {"Content-Type: application/json", "Expect:", "Grpc-Metadata-hasleader: true"};
  unary_headers = stream_headers;
  unary_headers.push_back("Grpc-Timeout: " + std::to_string(options.request_timeout.ms()) + "m");
}

// What the endpoints need: the files of TLS, and the addresses of their names.
void Client::Impl::set_up_connections() {
  std::vector<std::string> names;
  bool secure = false;
  for (const auto* list : {&configured, &discovery.used}) {
    for (const Endpoint& endpoint : *list) {
      if (endpoint.named) names.push_back(endpoint.host);
      secure = secure || endpoint.tls;
    }
  }
  if (!secure) files.reset();
  if (secure && (!files || files->settings() != options.tls)) {
    files = std::make_unique<TlsFiles>("etcd", options.tls, std::max(proven, credentials()));
    files->look(loop.now());
  }
  if (names.empty()) resolver.reset();
  if (!names.empty() && !resolver) {
    resolver = std::make_unique<Resolver>("etcd", loop, [this] { refresh_members(); });
  }
  if (resolver) resolver->set_names(names);
  refresh_members();
}

// Each address of a name is a member of its own: so hedging and health know them apart.
void Client::Impl::refresh_members() {
  std::vector<Endpoint> all = configured;
  all.insert(all.end(), discovery.used.begin(), discovery.used.end());
  std::vector<Endpoint> members;
  size_t first_discovered = 0;
  for (size_t i = 0; i < all.size(); i++) {
    const Endpoint& endpoint = all[i];
    const size_t before = members.size();
    if (endpoint.named) {
      for (const Address& address : resolver->addresses(endpoint.host)) {
        members.push_back(endpoint);
        members.back().address = address.text();
      }
    }
    if (members.size() == before) members.push_back(endpoint);
    if (i < configured.size()) first_discovered = members.size();
  }
  endpoints.set(members, first_discovered);
  for (const Endpoint& endpoint : all) {
    if (endpoint.named) resolver->set_failing(endpoint.host, endpoints.all_failed(endpoint.host));
  }
  const auto is_gone = [this](const auto& item) { return endpoints.find(item.first) == nullptr; };
  std::erase_if(notes, is_gone);
  std::erase_if(strangers, is_gone);
  arm_probe();
}

HttpRequest Client::Impl::make_request(MemberId id, Purpose purpose,
                                       const std::vector<std::string>& headers) {
  const Endpoint& endpoint = endpoints.find(id)->endpoint;
  const char* path = row_of(purpose).path;
  HttpRequest request;
  request.answer_limit = row_of(purpose).limit;
  request.headers = headers;
  request.timeout = options.request_timeout;
  if (endpoint.is_unix()) {
    request.url = std::string("http://localhost") + path;
    request.unix_socket = endpoint.path;
    return request;
  }
  // The certificate must be that of the URL's host.
  const bool renamed = endpoint.tls && !options.tls.servername.empty();
  const std::string& host = renamed ? options.tls.servername : endpoint.host;
  request.url = url_with_host(endpoint, host) + path;
  if (host != endpoint.address) {
    request.connect_to = web::bracketed(host) + ":" + endpoint.port + ":" +
                         web::bracketed(endpoint.address) + ":" + endpoint.port;
  }
  if (endpoint.tls) {
    files->look(loop.now());
    request.tls = files->current();
    // libcurl would take an old connection for one with a new key.
    request.fresh = credentials() != proven;
  }
  return request;
}

uint64_t Client::Impl::credentials() const {
  return files ? files->current()->generation : 0;
}

// Half a rotation: the key is new, the certificate is not.
bool Client::Impl::renewed_files(uint64_t used, const HttpAnswer& answer) {
  const bool ours = answer.trouble == TlsTrouble::OurCertificate ||
                    answer.trouble == TlsTrouble::OurKey ||
                    answer.trouble == TlsTrouble::Authorities;
  if (!ours || !files) return false;
  if (used < credentials()) return true;
  if (!files->fall_back(used)) return false;
  proven = credentials();
  if (watch.credentials < used) watch.credentials = proven;  // it was made with these
  log::warn("etcd: %s; the files read before stay in use",
            transport_error(answer, options.tls).text.c_str());
  return true;
}

Error Client::Impl::no_member() const {
  if (endpoints.members().empty()) return {Error::kTransport, "no endpoint is known", ""};
  if (Error why = cluster_trouble(); !why.text.empty()) {
    why.code = Error::kTransport;  // nobody was asked
    return why;
  }
  const Endpoint& first = endpoints.members().front().endpoint;
  return {Error::kTransport, resolver->problem(first.host), first.url};
}

void Client::Impl::note_failure(MemberId id, Group group, MonoTime sent_at, const Error& error) {
  troubles.remember(error, loop.now());
  const bool is_silent = error.code == Error::kTransport;
  const bool was_well = endpoints.failed(id, group, sent_at, loop.now(), is_silent);
  arm_probe();
  const Endpoints::Member* member = endpoints.find(id);
  if (member == nullptr) return;
  const std::string& host = member->endpoint.host;
  if (member->endpoint.named && endpoints.all_failed(host)) resolver->set_failing(host, true);
  // Where no other is well, the core says so.
  if (was_well && endpoints.any_well() && !needs_mending(error)) {
    log::info("etcd: %s: %s; others are preferred", label(member->endpoint).c_str(),
              error.text.c_str());
  }
  notes[id].version_asked = false;  // it may come back as another version
}

void Client::Impl::note_answer(MemberId member, Group group) {
  const bool is_well_again = endpoints.answered(member, group, loop.now());
  if (is_well_again && endpoints.members().size() > 1) {
    log::info("etcd: %s has recovered", label(endpoints.find(member)->endpoint).c_str());
  }
  const Endpoints::Member* found = endpoints.find(member);
  if (found != nullptr && found->endpoint.named) resolver->set_failing(found->endpoint.host, false);
  arm_probe();
  if (!watch.stream) return;
  if (endpoints.preferred(member, watch.member, kWatchGroup, loop.now())) {
    move_watch("a member that is preferred has recovered");
  } else if (member != watch.member && !watch.stream->created() &&
             loop.now() >= watch.opened_at + kUnconfirmed) {
    avoid_watching(watch);
    move_watch("it is not confirmed, and another member answers");
  }
}

// Other members may answer, and nobody would know. Said once, and again when it comes back after a
// minute without it.
void Client::Impl::ask_version(MemberId member) {
  Notes& note = notes[member];
  if (note.version_asked || endpoints.find(member) == nullptr) return;
  note.version_asked = true;
  get(member, Purpose::Version, [this, member](HttpAnswer& answer) {
    Error error;
    std::string version;
    const bool good = answer.complete && read_version(answer.body, version, error);
    count(label(endpoints.find(member)->endpoint), Purpose::Version, good ? nullptr : &error);
    if (good) notes[member].version = std::move(version);
  });
}

void Client::Impl::arm_probe() {
  loop.cancel_timer(std::exchange(probe_timer, Loop::Timer::None));
  const MonoTime next = endpoints.next_probe();
  if (next.is_never()) return;
  probe_timer = loop.add_timer(next, [this] {
    probe_timer = Loop::Timer::None;
    for (const MemberId member : endpoints.due_probes(loop.now())) probe(member);
    arm_probe();
  });
}

// What a request of ours needs: TLS, a token, a leader and a quorum. One key is read, which need
// not be there.
void Client::Impl::probe(MemberId member) {
  auto call = std::make_shared<Call>();
  call->purpose = Purpose::Probe;
  call->body = write_range(options.key, "");
  call->member = member;
  call->finish = [this](HttpAnswer& answer, const CallPtr& done) {
    RangeAnswer range;
    Error error;
    const bool good = take<RangeAnswer>(*done, answer, read_range, range, error) &&
                      note_header(done->member, range.header, done->sent_at, error);
    if (!good && repeat(done, answer, error)) return;
    error.endpoint = done->endpoint;
    probed(*done, good ? nullptr : &error);
  };
  submit(std::move(call));
}

void Client::Impl::probed(const Call& call, const Error* error) {
  const bool mind = error != nullptr && needs_mending(*error) && !is_stranger(call.member);
  if (mind && !asked_elsewhere(call.member, *error)) complain(*error);
  if (error == nullptr || !blames_member(error->code)) return note_answer(call.member, 0);
  note_failure(call.member, 0, call.sent_at, *error);
}

}  // namespace vipd::etcd
