#include "agent/crypto/pkcs12.hpp"

#include "agent/base/handle.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <cstring>

namespace scratchd {
namespace {

void free_stack(STACK_OF(X509) * stack) {
    sk_X509_pop_free(stack, X509_free);
}

using bio_ptr = c_ptr<BIO, BIO_free>;
using pkcs12_ptr = c_ptr<PKCS12, PKCS12_free>;
using key_ptr = c_ptr<EVP_PKEY, EVP_PKEY_free>;
using certificate_ptr = c_ptr<X509, X509_free>;
using stack_ptr = c_ptr<STACK_OF(X509), free_stack>;

}  // namespace

result<secret> pkcs12_to_pem(std::span<std::byte const> der) {
    auto const* at = reinterpret_cast<unsigned char const*>(der.data());
    pkcs12_ptr const file(d2i_PKCS12(nullptr, &at, static_cast<long>(der.size())));
    EVP_PKEY* raw_key = nullptr;
    X509* raw_certificate = nullptr;
    STACK_OF(X509)* raw_others = nullptr;
    bool const read = file && PKCS12_parse(file.get(), "", &raw_key, &raw_certificate, &raw_others) == 1;
    key_ptr const key(raw_key);
    certificate_ptr const certificate(raw_certificate);
    stack_ptr const others(raw_others);
    ERR_clear_error();
    if (!read || !key || !certificate)
        return fail(errc::credential_format, "not a PKCS #12 file with a key and a certificate and without a password");

    bio_ptr const out(BIO_new(BIO_s_mem()));  // wipes its memory when it grows and when it goes
    bool written = out &&
                   PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
                   PEM_write_bio_X509(out.get(), certificate.get()) == 1;
    for (int i = 0; written && i < sk_X509_num(others.get()); ++i)
        written = PEM_write_bio_X509(out.get(), sk_X509_value(others.get(), i)) == 1;
    if (!written) return fail(errc::internal, "write PEM");
    char* text = nullptr;
    auto const size = static_cast<std::size_t>(BIO_get_mem_data(out.get(), &text));
    SCRATCHD_TRY(auto pem, secret::make(size));
    std::memcpy(pem.bytes().data(), text, size);
    return pem;
}

}  // namespace scratchd
