// JSON objects with a signature inside: canonical form, Ed25519 over all but the signature itself.
#pragma once

#include "agent/base/error.hpp"
#include "agent/crypto/signing.hpp"

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

namespace scratchd {

// The file's bytes: canonical JSON with "signature", and a newline.
result<std::string> sign_json(boost::json::object body, signing_key const& key);

// The object without its signature. record_unreadable for what is no such JSON or not in canonical form (a changed
// byte may still be JSON); record_forged when the signature is not by this key.
result<boost::json::object> open_signed_json(std::string_view text, verifying_key const& key);

}  // namespace scratchd
