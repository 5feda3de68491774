#include "agent/base/mounts.hpp"

#include "agent/base/handle.hpp"

#include <fmt/format.h>
#include <libmount/libmount.h>
#include <sys/sysmacros.h>

namespace scratchd {
namespace {

using table_ptr = c_ptr<libmnt_table, mnt_unref_table>;
using iter_ptr = c_ptr<libmnt_iter, mnt_free_iter>;

std::string text(char const* s) {
    return s != nullptr ? s : "";
}

}  // namespace

result<std::vector<mount_entry>> read_mounts(std::filesystem::path const& mountinfo) {
    table_ptr const table(mnt_new_table());
    iter_ptr const iter(mnt_new_iter(MNT_ITER_FORWARD));
    if (!table || !iter) return fail(errc::no_memory, "libmount table");
    if (int const rc = mnt_table_parse_file(table.get(), mountinfo.c_str()); rc != 0)
        return fail(errc::io, "read " + mountinfo.string(), rc < 0 ? -rc : EIO);
    std::vector<mount_entry> all;
    libmnt_fs* fs = nullptr;
    while (mnt_table_next_fs(table.get(), iter.get(), &fs) == 0)
        all.push_back({mnt_fs_get_id(fs), mnt_fs_get_parent_id(fs), mnt_fs_get_devno(fs), text(mnt_fs_get_root(fs)),
                       text(mnt_fs_get_target(fs)), text(mnt_fs_get_fstype(fs)), text(mnt_fs_get_source(fs)),
                       text(mnt_fs_get_fs_options(fs))});
    return all;
}

std::string device_text(dev_t device) {
    return fmt::format("{}:{}", major(device), minor(device));
}

}  // namespace scratchd
