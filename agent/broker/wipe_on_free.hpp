// Every byte of memory that this process gives back is wiped first.
//
// Secrets live in `secret`, but they pass through buffers of OpenSSL, Asio and Boost.JSON on their way. In the broker
// operator delete and OpenSSL's free overwrite what they free, so that nothing of it is left in the heap.
#pragma once

namespace scratchd::broker {

// Its random numbers come from a hash from here on: the default generator keeps an AES key in memory, which a search
// for the disk's key would find. Before OpenSSL allocates anything: CRYPTO_set_mem_functions(3ssl). False when it was
// too late.
bool prepare_openssl();

}  // namespace scratchd::broker
