// Owners for what C gives out: descriptors and pointers.
#pragma once

#include <unistd.h>
#include <memory>
#include <utility>

namespace scratchd {

// Owns a file descriptor; closes it once.
class unique_fd {
public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    unique_fd(unique_fd const&) = delete;
    unique_fd& operator=(unique_fd const&) = delete;
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) (void)::close(fd_);
        fd_ = fd;
    }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

template <auto Free>
struct c_free {
    template <class T>
    void operator()(T* p) const noexcept {
        (void)Free(p);
    }
};
// c_ptr<EVP_MD_CTX, EVP_MD_CTX_free>: a C library's object with its free function.
template <class T, auto Free>
using c_ptr = std::unique_ptr<T, c_free<Free>>;

}  // namespace scratchd
