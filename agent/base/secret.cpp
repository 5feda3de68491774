#include "agent/base/secret.hpp"

#include "agent/base/file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>
#include <utility>

namespace scratchd {

secret::secret(secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

secret& secret::operator=(secret&& other) noexcept {
    if (this != &other) {
        clear();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        mapped_ = std::exchange(other.mapped_, 0);
    }
    return *this;
}

secret::~secret() {
    clear();
}

void secret::clear() noexcept {
    if (data_ == nullptr) return;
    explicit_bzero(data_, mapped_);
    (void)munmap(data_, mapped_);
    data_ = nullptr;
    size_ = mapped_ = 0;
}

void secret::truncate(std::size_t size) noexcept {
    if (size >= size_) return;
    explicit_bzero(data_ + size, size_ - size);
    size_ = size;
}

result<secret> secret::make(std::size_t size) {
    auto const page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    auto const rounded = std::max<std::size_t>(1, (size + page - 1) / page) * page;
    void* const at = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return fail_errno("mmap for a secret", errc::no_memory);
    secret made;
    made.data_ = static_cast<std::byte*>(at);
    made.size_ = size;
    made.mapped_ = rounded;
    if (mlock(at, rounded) != 0) return fail_errno("mlock for a secret", errc::no_memory);
    if (madvise(at, rounded, MADV_DONTDUMP) != 0 || madvise(at, rounded, MADV_WIPEONFORK) != 0)
        return fail_errno("madvise for a secret", errc::no_memory);
    return made;
}

result<> protect_process_memory() {
    // For who may dump in spite of the rest (root, with gcore): no kind of mapping is dumped (core(5)). Libraries keep
    // secrets in the heap, where nothing marks them. Before PR_SET_DUMPABLE: the file is root's after it.
    if (unique_fd const filter(::open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC)); filter)
        (void)write_all(filter.get(), "0");
    rlimit const none{0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return fail_errno("setrlimit RLIMIT_CORE");
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("prctl PR_SET_DUMPABLE");
    // Libraries copy secrets into memory of their own (libcryptsetup, OpenSSL): lock that as well, as it is touched.
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) return fail_errno("mlockall", errc::no_memory);
    return {};
}

}  // namespace scratchd
