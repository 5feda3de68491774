#include "tests/support/pki.hpp"

#include "tests/support/catch.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <functional>

namespace {

std::string text_of(std::function<int(BIO*)> const& write) {
    std::unique_ptr<BIO, int (*)(BIO*)> const out(BIO_new(BIO_s_mem()), BIO_free);
    REQUIRE(write(out.get()) == 1);
    char* text = nullptr;
    auto const size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

void extend(X509* certificate, X509* issuer, int what, std::string const& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    auto* const extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    REQUIRE(extension != nullptr);
    REQUIRE(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

}  // namespace

std::string issued::key_pem() const {
    return text_of([this](BIO* out) {
        return PEM_write_bio_PKCS8PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::string issued::certificate_pem() const {
    return text_of([this](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
}

std::string issued::pkcs12(char const* passphrase, issued const* chain, bool old) const {
    auto* const others = sk_X509_new_null();
    if (chain != nullptr) sk_X509_push(others, chain->certificate.get());
    int const cipher = old ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : 0;
    auto* const file =
        PKCS12_create(passphrase, "test", key.get(), certificate.get(), others, cipher, cipher, 2000, 0, 0);
    REQUIRE(file != nullptr);
    auto const der = text_of([file](BIO* out) { return i2d_PKCS12_bio(out, file); });
    PKCS12_free(file);
    sk_X509_free(others);
    return der;
}

issued issue(wanted_certificate const& what, issued const* by) {
    issued out;
    out.key.reset(what.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), EVP_PKEY_free);
    out.certificate.reset(X509_new(), X509_free);
    auto* const made = out.certificate.get();
    REQUIRE(out.key);
    X509_set_version(made, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), -86400);
    X509_gmtime_adj(X509_getm_notAfter(made), what.valid_for);
    auto const* const name = reinterpret_cast<unsigned char const*>(what.name.c_str());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8, name, -1, -1, 0);
    X509_set_pubkey(made, out.key.get());
    auto* const issuer = by != nullptr ? by->certificate.get() : made;
    X509_set_issuer_name(made, X509_get_subject_name(issuer));
    extend(made, issuer, NID_basic_constraints, what.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!what.is_authority) extend(made, issuer, NID_subject_alt_name, "DNS:" + what.name);
    REQUIRE(X509_sign(made, by != nullptr ? by->key.get() : out.key.get(), EVP_sha256()) > 0);
    return out;
}
