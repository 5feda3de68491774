#include "agent/config/delivery.hpp"
#include "agent/config/parse.hpp"
#include "agent/config/schema.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/temp_folder.hpp"

#include <sys/stat.h>

using namespace scratchd;

namespace {

constexpr char azure[] = "[broker]\nprovider = \"azure-key-vault\"\n";
constexpr char data[] =
    "[[credential]]\nname = \"data\"\nkind = \"storage\"\nvault = \"https://contoso.vault.azure.net\"\n";

result<config> load(temp_folder const& t, std::string const& text) {
    t.write("scratchd.toml", text);
    return load_config(t.path() / "scratchd.toml");
}

}  // namespace

TEST_CASE("broker config: credentials and identities are lists, in the order of the files", "[config]") {
    temp_folder const t;
    std::filesystem::create_directory(t.path() / "scratchd.toml.d");
    t.write("scratchd.toml.d/10-more.toml",
            "[[credential]]\nname = \"login\"\nkind = \"registry\"\nvault = "
            "\"https://contoso.vault.azure.net\"\nregistry = \"reg.example:5000\"\n"
            "username = \"robot\"\nusers = [\"alice\", \"bob\"]\n");
    auto const c = must(load(t, std::string(azure) + "max_age = \"2m\"\n" + data));
    REQUIRE(c.credentials.size() == 2);
    CHECK(c.credentials[0].name == "data");
    CHECK(c.credentials[0].identity == "default");
    CHECK(c.credentials[1].users == std::vector<std::string>{"alice", "bob"});
    CHECK(c.broker.max_age == std::chrono::minutes(2));
    CHECK_THAT(c.origins.at("credential[1].registry").text(), ContainsSubstring("10-more.toml:5:1"));
    bool shown = false;
    for (auto const& s : show(c)) shown = shown || (s.key == "credential[1].username" && s.value == "\"robot\"");
    CHECK(shown);
}

TEST_CASE("broker config: a problem has its place and says what is missing", "[config]") {
    auto const [text, words] = GENERATE(table<std::string, std::string>({
        {"[[credential]]\nname = \"a\"\n", ":2:1: credential \"a\": kind is missing"},
        {"[[credential]]\nkind = \"ssh\"\n", "name is missing"},
        {"[credential]\nname = \"a\"\n", "credential is a list: write [[credential]]"},
        {"[[broker]]\nprovider = \"directory\"\n", "broker is one section: write [broker]"},
        {"[[credential]]\nnmae = \"a\"\n", ":2:1: unknown key credential.nmae (did you mean credential.name?)"},
        {"[[credential]]\nname = \"../a\"\n", "a name of letters"},
        {std::string(data) + data, "is there twice"},
        {std::string(azure) + "[[credential]]\nname = \"a\"\nkind = \"secret\"\n", "vault is missing"},
        {"[[credential]]\nname = \"a\"\nkind = \"secret\"\nvault = \"http://v\"\n", "https://"},
        {"[[credential]]\nname = \"a\"\nkind = \"registry\"\nregistry = \"r\"\n", "username is missing"},
        {"[[credential]]\nname = \"a\"\nkind = \"ssh\"\nregistry = \"r\"\n", ":4:1: credential \"a\": registry does"},
        {"[[credential]]\nname = \"a\"\nkind = \"ssh\"\nhosts = [\"SHA256:short\"]\n", "fingerprint"},
        {"[[credential]]\nname = \"a\"\nkind = \"storage\"\nwrite = [\"rclone\"]\n", "account is missing"},
        {"[[credential]]\nname = \"a\"\nkind = \"storage\"\naccount = \"c\"\ncontainer = \"d\"\n"
         "format = \"connection-string\"\nwrite = [\"rclone\"]\n",
         ":7:1: credential \"a\": write does not fit: rclone and blobfuse2 take"},
        {"[[credential]]\nname = \"a\"\nkind = \"ssh\"\nunits = [\"a.service\"]\n", "does not leave the broker"},
        {"[broker]\ncloud = \"china\"\n[[credential]]\nname = \"a\"\nkind = \"storage\"\naccount = \"c\"\n"
         "container = \"d\"\nwrite = [\"rclone\"]\n",
         "endpoint is missing"},
        {std::string(azure) +
             "[[credential]]\nname = \"a.b\"\nkind = \"secret\"\nvault = \"https://contoso.vault.azure.net\"\n",
         "secret is missing"},
        {"[[identity]]\nname = \"i\"\nsource = \"arc\"\nobject_id = \"b\"\n", "it is for source imds"},
        {std::string(azure) + data + "identity = \"nobody\"\n", "is no [[identity]]"},
        {"[[identity]]\nname = \"i\"\n", "source is missing"},
        {"[[identity]]\nname = \"i\"\nsource = \"service-principal\"\n", "tenant is missing"},
        {"[[identity]]\nname = \"i\"\nsource = \"imds\"\nclient_id = \"a\"\nobject_id = \"b\"\n", "give one of them"},
        {"[[identity]]\nname = \"i\"\nsource = \"arc\"\nendpoint = \"http://10.0.0.1/x\"\n", "of this machine"},
    }));
    temp_folder const t;
    auto const loaded = load(t, text);
    REQUIRE(fails_with(loaded, errc::config_value));
    CHECK_THAT(loaded.error().what, ContainsSubstring(words));
}

TEST_CASE("delivery: files, docker's configuration and the agent follow from the kinds", "[config]") {
    config c;
    c.credentials.resize(4);
    c.credentials[0].name = "data", c.credentials[0].kind = "storage", c.credentials[0].write = {"rclone", "blobfuse2"};
    c.credentials[1].name = "login", c.credentials[1].kind = "registry", c.credentials[1].registry = "reg:5000";
    c.credentials[2].name = "key", c.credentials[2].kind = "ssh";
    c.credentials[3].name = "api", c.credentials[3].kind = "secret";
    auto const granted = must(find_credentials(c, {"api", "data", "login", "api"}));
    REQUIRE(granted.size() == 3);
    std::vector<std::string> names;
    for (auto const& f : files_of(granted)) names.push_back(f.name);
    CHECK(names == std::vector<std::string>{"api", "data", "data.rclone.conf", "data.blobfuse2.yaml"});
    CHECK_THAT(docker_config_of(granted).value_or(""), ContainsSubstring("\"reg:5000\": \"scratchd\""));
    CHECK_FALSE(docker_config_of({c.credentials[2]}).has_value());
    CHECK_FALSE(needs_agent(granted));
    CHECK(needs_agent({c.credentials[2]}));
    CHECK(fails_with(find_credentials(c, {"data", "nothing"}), errc::credential_unknown));
}

TEST_CASE("delivery: users and groups decide who may have a credential", "[config]") {
    credential_config c;
    CHECK(may_have(c, "anybody", {}));
    c.units = {"a.service"};
    CHECK_FALSE(may_have(c, "anybody", {"staff"}));
    c.groups = {"staff"};
    CHECK(may_have(c, "anybody", {"x", "staff"}));
    CHECK_FALSE(may_have(c, "anybody", {"staf"}));
    c.users = {"alice"};
    CHECK(may_have(c, "alice", {}));
    CHECK_FALSE(may_have(c, "alic", {}));
}
