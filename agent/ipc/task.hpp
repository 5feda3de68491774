// The coroutine type of the code at the edge: sockets, the vault client, the broker. The core has none.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace scratchd {

template <class T = void>
using task = boost::asio::awaitable<T>;

}  // namespace scratchd
