#include "dmcrypt/luks.hpp"

#include "agent/base/file.hpp"
#include "agent/base/handle.hpp"
#include "dmcrypt/crypt_table.hpp"

#include <fmt/format.h>
#include <keyutils.h>
#include <libcryptsetup.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cerrno>
#include <sstream>

namespace scratchd {
namespace {

using crypt_ptr = c_ptr<crypt_device, crypt_free>;

// The smallest LUKS2 metadata: two copies of 16 KiB and one 4 KiB area for the key slots that we never make.
constexpr std::uint64_t metadata_bytes = 16384;
constexpr std::uint64_t keyslots_bytes = 4096;
constexpr off_t header_bytes = 2 * metadata_bytes + keyslots_bytes;

void remember(int level, char const* message, void* into) {
    if (level == CRYPT_LOG_ERROR) *static_cast<std::string*>(into) = message;
}

std::string with_words(std::string what, std::string const& said) {
    auto const end = said.find_last_not_of(" \n.");
    return end == std::string::npos ? what : fmt::format("{} ({})", what, said.substr(0, end + 1));
}

// libcryptsetup links the key into this thread's keyring; without this it would stay until the thread ends.
result<> drop_key(std::string const& uuid) {
    auto const description = fmt::format("cryptsetup:{}-d0", uuid);
    auto const key = keyctl_search(KEY_SPEC_THREAD_KEYRING, "logon", description.c_str(), 0);
    if (key < 0) return fail_errno("find the volume key in the keyring", errc::keyring_refused);
    if (keyctl_revoke(static_cast<key_serial_t>(key)) != 0)
        return fail_errno("revoke the volume key in the keyring", errc::keyring_refused);
    (void)keyctl_unlink(static_cast<key_serial_t>(key), KEY_SPEC_THREAD_KEYRING);
    return {};
}

errc activation_code(int rc) {
    if (rc == -EDQUOT || rc == -ENOKEY || rc == -ENOSYS) return errc::keyring_refused;
    if (rc == -ENOTSUP || rc == -ENODEV || rc == -ENOENT) return errc::kernel_lacks;
    return rc == -EBUSY ? errc::disk_in_use : errc::io;
}

}  // namespace

result<> activate_luks(std::string const& name, std::filesystem::path const& device, secret const& key) {
    unique_fd const header(::memfd_create("scratchd-header", MFD_CLOEXEC));
    if (!header || ::ftruncate(header.get(), header_bytes) != 0) return fail_errno("memory for the LUKS2 header");
    auto const header_path = fmt::format("/proc/self/fd/{}", header.get());

    std::string said;
    crypt_device* raw = nullptr;
    if (int const rc = crypt_init_data_device(&raw, header_path.c_str(), device.c_str()); rc < 0)
        return fail(activation_code(rc), "crypt_init_data_device " + device.string(), -rc);
    crypt_ptr const cd(raw);
    crypt_set_log_callback(cd.get(), &remember, &said);

    crypt_pbkdf_type pbkdf{};
    pbkdf.type = CRYPT_KDF_PBKDF2;
    pbkdf.hash = "sha256";
    pbkdf.iterations = 1000;  // the least that is allowed: it guards a digest of 512 random bits
    pbkdf.flags = CRYPT_PBKDF_NO_BENCHMARK;
    if (int const rc = crypt_set_pbkdf_type(cd.get(), &pbkdf); rc < 0)
        return fail(errc::internal, "crypt_set_pbkdf_type", -rc);
    if (int const rc = crypt_set_metadata_size(cd.get(), metadata_bytes, keyslots_bytes); rc < 0)
        return fail(errc::internal, "crypt_set_metadata_size", -rc);

    crypt_params_luks2 parameters{};
    parameters.pbkdf = &pbkdf;
    parameters.data_device = device.c_str();
    parameters.sector_size = volume_sector_bytes;
    auto const* const bytes = reinterpret_cast<char const*>(key.bytes().data());
    if (int const rc =
            crypt_format(cd.get(), CRYPT_LUKS2, "aes", "xts-plain64", nullptr, bytes, key.size(), &parameters);
        rc < 0)
        return fail(activation_code(rc), with_words("crypt_format", said), -rc);

    constexpr std::uint32_t flags = CRYPT_ACTIVATE_KEYRING_KEY | CRYPT_ACTIVATE_PRIVATE |
                                    CRYPT_ACTIVATE_NO_READ_WORKQUEUE | CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE;
    int const rc = crypt_activate_by_volume_key(cd.get(), name.c_str(), bytes, key.size(), flags);
    auto dropped = drop_key(crypt_get_uuid(cd.get()));
    if (rc < 0) return fail(activation_code(rc), with_words("activate " + name, said), -rc);
    return dropped;
}

result<std::string> leftover_volume_keys() {
    SCRATCHD_TRY(auto const keys, read_file("/proc/keys"));
    std::istringstream lines(keys);
    std::string found;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string serial;
        std::string flags;
        words >> serial >> flags;
        bool const dead = flags.contains('R') || flags.contains('D') || flags.contains('i');
        if (line.contains("logon") && line.contains("cryptsetup:") && !dead)
            found += (found.empty() ? "" : ", ") + serial;
    }
    return found;
}

}  // namespace scratchd
