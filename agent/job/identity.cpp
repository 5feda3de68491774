#include "agent/job/identity.hpp"

#include "agent/base/file.hpp"
#include "agent/crypto/digest.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <cerrno>

namespace scratchd {
namespace {

constexpr std::size_t seed_bytes = 32;
constexpr std::size_t derived_bytes = 32;

result<secret> read_seed(int fd, std::filesystem::path const& path) {
    struct stat st{};
    if (::fstat(fd, &st) != 0) return fail_errno("stat " + path.string());
    if (st.st_uid != ::geteuid() || (st.st_mode & 077) != 0 || !S_ISREG(st.st_mode))
        return fail(errc::state_insecure, path.string() + " must be a file of root with mode 0400");
    SCRATCHD_TRY(auto seed, secret::make(seed_bytes));
    if (st.st_size != static_cast<off_t>(seed_bytes) ||
        ::read(fd, seed.bytes().data(), seed_bytes) != static_cast<ssize_t>(seed_bytes))
        return fail(errc::state_insecure, path.string() + " is not a node key of 32 bytes");
    return seed;
}

result<secret> make_seed(std::filesystem::path const& path) {
    SCRATCHD_TRY(auto seed, secret::make(seed_bytes));
    if (::getrandom(seed.bytes().data(), seed_bytes, 0) != static_cast<ssize_t>(seed_bytes))
        return fail_errno("getrandom");
    auto const temporary = path.string() + ".new";
    (void)::unlink(temporary.c_str());
    SCRATCHD_TRY(auto const fd, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0400));
    SCRATCHD_CHECK(write_all(fd.get(), {reinterpret_cast<char const*>(seed.bytes().data()), seed_bytes}));
    if (::fsync(fd.get()) != 0) return fail_errno("fsync " + temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename " + temporary);
    SCRATCHD_CHECK(sync_folder(path.parent_path()));
    return seed;
}

}  // namespace

result<node_identity> node_identity::load(std::filesystem::path const& state) {
    auto const path = state / "node.key";
    auto file = open_file(path, O_RDONLY | O_NOFOLLOW);
    bool const missing = !file && file.error().sys == ENOENT;
    if (!file && !missing) return std::unexpected(std::move(file).error());
    SCRATCHD_TRY(auto const seed, missing ? make_seed(path) : read_seed(file->get(), path));

    SCRATCHD_TRY(auto signer, signing_key::from_seed(seed));
    node_identity made(std::move(signer));
    made.is_new_ = missing;
    SCRATCHD_TRY(auto const pem, made.signer_.public_pem());
    SCRATCHD_TRY(auto const verifier, verifying_key::from_pem(pem));
    SCRATCHD_TRY(made.fingerprint_, verifier.fingerprint());
    SCRATCHD_TRY(made.fingerprint_key_, hkdf_sha512(seed.bytes(), {}, "scratchd key fingerprint 1", derived_bytes));
    SCRATCHD_TRY(made.pseudonym_key_, hkdf_sha512(seed.bytes(), {}, "scratchd job pseudonym 1", derived_bytes));
    SCRATCHD_TRY(made.journal_key_, hkdf_sha512(seed.bytes(), {}, "scratchd journal 1", derived_bytes));
    std::error_code ec;
    std::filesystem::create_directory(state / "records", ec);
    if (auto const present = read_file(state / "records/node.pub", 4096); !present || *present != pem)
        SCRATCHD_CHECK(replace_file(state / "records/node.pub", pem, 0444));
    return made;
}

result<std::string> node_identity::key_fingerprint(secret const& volume_key) const {
    SCRATCHD_TRY(auto const mac, hmac_sha256(fingerprint_key_.bytes(), volume_key.bytes()));
    return hex(mac);
}

result<std::string> node_identity::pseudonym(std::string_view job) const {
    SCRATCHD_TRY(auto const mac, hmac_sha256(pseudonym_key_.bytes(), job));
    return "j-" + hex(mac).substr(0, 20);
}

result<std::string> node_identity::journal_mac(std::string_view line) const {
    SCRATCHD_TRY(auto const mac, hmac_sha256(journal_key_.bytes(), line));
    return hex(mac);
}

}  // namespace scratchd
