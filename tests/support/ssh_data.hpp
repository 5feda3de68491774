// Keys made for these tests by ssh-keygen and openssl (tests/data/ssh), and messages made with them.
#pragma once

#include "agent/base/file.hpp"
#include "agent/crypto/digest.hpp"
#include "agent/crypto/ssh_key.hpp"
#include "tests/support/expect.hpp"

#include <cstring>
#include <random>
#include <string>

inline scratchd::secret secret_of(std::string_view text) {
    auto s = must(scratchd::secret::make(text.size()));
    if (!text.empty()) std::memcpy(s.bytes().data(), text.data(), text.size());
    return s;
}
inline std::string text_of(scratchd::secret const& s) {
    return {reinterpret_cast<char const*>(s.bytes().data()), s.size()};
}
inline std::string ssh_file(std::string const& name) {
    return must(scratchd::read_file(std::string(SOURCE_DIR "/tests/data/ssh/") + name));
}
inline scratchd::ssh_key ssh_key_of(std::string const& name) {
    return must(scratchd::ssh_key::parse(secret_of(ssh_file(name))));
}
// The blob in a .pub file: its second word.
inline std::string blob_of(std::string const& name) {
    auto const line = ssh_file(name);
    auto const start = line.find(' ') + 1;
    return must(scratchd::base64_decode(std::string_view(line).substr(start, line.find(' ', start) - start)));
}

// Changes some bytes, cuts, doubles or inserts, with a fixed seed: the same inputs in every run.
class mutator {
public:
    explicit mutator(unsigned seed) : random_(seed) {}

    std::string operator()(std::string text) {
        for (unsigned n = 1 + pick(4); n > 0; --n) change(text);
        return text;
    }
    unsigned pick(std::size_t below) { return static_cast<unsigned>(random_() % std::max<std::size_t>(below, 1)); }

private:
    void change(std::string& text) {
        auto const at = pick(text.size());
        if (text.empty()) return void(text += static_cast<char>(random_()));
        switch (pick(6)) {
        case 0: text[at] = static_cast<char>(random_()); break;
        case 1: text[at] = static_cast<char>(text[at] ^ 1 << pick(8)); break;
        case 2: text.resize(at); break;
        case 3: text.insert(at, text.substr(pick(text.size()), pick(40))); break;
        case 4: text.erase(at, pick(8)); break;
        default: text[at] = "\x00\x01\x7f\x80\xff"[pick(5)];
        }
    }
    std::minstd_rand random_;
};
