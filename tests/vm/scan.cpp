// Searches a memory dump or a disk image for secrets, as a thief would.
//
//   scan [--text STRING]... [--hex BYTES]... [--aes] FILE...
//
// Prints JSON: for each needle how often it occurs in all files, and with --aes every AES key schedule: 60 (or 44)
// consecutive words that are the expansion (FIPS 197, section 5.2) of the first 8 (or 4). Holes of sparse files are
// skipped: they are zeros.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct needle {
    std::string name;
    std::string bytes;
    std::uint64_t hits = 0;
};

struct schedule {
    std::string file;
    std::uint64_t offset;
    int bits;
    std::string key;
};

std::uint8_t sbox[256];

std::uint8_t multiply(std::uint8_t a, std::uint8_t b) {
    std::uint8_t product = 0;
    for (; b != 0; b >>= 1U) {
        if ((b & 1U) != 0) product ^= a;
        a = static_cast<std::uint8_t>((a << 1U) ^ ((a & 0x80U) != 0 ? 0x1bU : 0U));
    }
    return product;
}

// The inverse in GF(2^8), then the affine transformation (FIPS 197, section 5.1.1).
void make_sbox() {
    for (unsigned x = 0; x < 256; ++x) {
        std::uint8_t inverse = 0;
        for (unsigned y = 1; x != 0 && y < 256; ++y)
            if (multiply(static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y)) == 1)
                inverse = static_cast<std::uint8_t>(y);
        std::uint8_t out = 0x63;
        for (unsigned shift = 0; shift < 5; ++shift)
            out ^= static_cast<std::uint8_t>((inverse << shift) | (inverse >> (8 - shift)));
        sbox[x] = out;
    }
}

std::uint32_t substitute(std::uint32_t w) {
    return sbox[w & 0xffU] | sbox[(w >> 8U) & 0xffU] << 8U | sbox[(w >> 16U) & 0xffU] << 16U |
           static_cast<std::uint32_t>(sbox[w >> 24U]) << 24U;
}

// Words as they lie in memory on a little-endian machine: rotating left by a byte is rotating right by 8 bits.
bool is_schedule(std::uint32_t const* w, unsigned key_words) {
    unsigned const total = key_words == 8 ? 60 : 44;
    std::uint32_t round_constant = 1;
    for (unsigned i = key_words; i < total; ++i) {
        auto t = w[i - 1];
        if (i % key_words == 0) {
            t = substitute((t >> 8U) | (t << 24U)) ^ round_constant;
            round_constant = multiply(static_cast<std::uint8_t>(round_constant), 2);
        } else if (key_words == 8 && i % 8 == 4) {
            t = substitute(t);
        }
        if (w[i] != (w[i - key_words] ^ t)) return false;
    }
    return true;
}

std::string hex(void const* data, std::size_t size) {
    std::string out;
    char pair[3];
    for (std::size_t i = 0; i < size; ++i) {
        std::snprintf(pair, sizeof pair, "%02x", static_cast<std::uint8_t const*>(data)[i]);
        out += pair;
    }
    return out;
}

std::string unhex(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out += static_cast<char>(std::strtoul(std::string(text.substr(i, 2)).c_str(), nullptr, 16));
    return out;
}

void find_schedules(std::string const& file, std::uint8_t const* data, std::size_t from, std::size_t to,
                    std::vector<schedule>& found) {
    for (std::size_t at = (from + 3) / 4 * 4; at + 176 <= to; at += 4) {
        auto const* w = reinterpret_cast<std::uint32_t const*>(data + at);
        if ((w[0] | w[1]) == 0) continue;  // zero pages, and no random key
        for (unsigned const words : {8U, 4U})
            if (at + (words == 8 ? 240 : 176) <= to && is_schedule(w, words))
                found.push_back({file, at, static_cast<int>(words * 32), hex(w, words * 4UL)});
    }
}

void search(std::string const& file, bool aes, std::vector<needle>& needles, std::vector<schedule>& schedules) {
    int const fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st{};
    if (fd < 0 || fstat(fd, &st) != 0) {
        std::fprintf(stderr, "scan: %s: %s\n", file.c_str(), std::strerror(errno));
        std::exit(2);
    }
    auto const size = static_cast<std::size_t>(st.st_size);
    auto* const data =
        static_cast<std::uint8_t*>(mmap(nullptr, std::max<std::size_t>(size, 1), PROT_READ, MAP_PRIVATE, fd, 0));
    if (data == MAP_FAILED) std::exit(2);
    for (off_t from = 0; (from = lseek(fd, from, SEEK_DATA)) >= 0;) {
        off_t const to = lseek(fd, from, SEEK_HOLE);
        auto const begin = static_cast<std::size_t>(from);
        auto const end = static_cast<std::size_t>(to);
        for (auto& n : needles)
            for (auto const* p = data + begin; p < data + end;) {
                p = static_cast<std::uint8_t const*>(
                    memmem(p, static_cast<std::size_t>(data + end - p), n.bytes.data(), n.bytes.size()));
                if (p == nullptr) break;
                ++n.hits;
                p += n.bytes.size();
            }
        if (aes) find_schedules(file, data, begin, end, schedules);
        from = to;
    }
    munmap(data, std::max<std::size_t>(size, 1));
    close(fd);
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char const c : text)
        if (c == '"' || c == '\\') out += {'\\', c};
        else out += c;
    return out + '"';
}

}  // namespace

int main(int argc, char** argv) {
    bool aes = false;
    std::vector<needle> needles;
    std::vector<schedule> schedules;
    std::vector<std::string> files;
    for (int i = 1; i < argc; ++i) {
        std::string_view const arg = argv[i];
        if (arg == "--aes") aes = true;
        else if (arg == "--text" && i + 1 < argc) {
            ++i;
            needles.push_back({argv[i], argv[i]});
        } else if (arg == "--hex" && i + 1 < argc) {
            ++i;
            needles.push_back({argv[i], unhex(argv[i])});
        } else files.emplace_back(arg);
    }
    make_sbox();
    for (auto const& file : files) search(file, aes, needles, schedules);
    std::printf("{\"needles\": {");
    for (std::size_t i = 0; i < needles.size(); ++i)
        std::printf("%s%s: %llu", i == 0 ? "" : ", ", quoted(needles[i].name).c_str(),
                    static_cast<unsigned long long>(needles[i].hits));
    std::printf("}, \"schedules\": [");
    for (std::size_t i = 0; i < schedules.size(); ++i) {
        auto const& s = schedules[i];
        std::printf("%s{\"file\": %s, \"offset\": %llu, \"bits\": %d, \"key\": \"%s\"}", i == 0 ? "" : ", ",
                    quoted(s.file).c_str(), static_cast<unsigned long long>(s.offset), s.bits, s.key.c_str());
    }
    std::printf("]}\n");
}
