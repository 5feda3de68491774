// The bytes of a delivered file: the value itself, or a configuration file of a program with the value in it.
//
// rclone and blobfuse2 read a SAS or a key from their configuration file only; blobfuse2 takes a new SAS up when that
// file changes (azure-storage-fuse issue 1246). Sources: rclone.org/azureblob; azure-storage-fuse
// sampleFileCacheConfig.
#pragma once

#include "agent/base/secret.hpp"
#include "agent/config/delivery.hpp"

namespace scratchd::broker {

// credential_format when the value cannot stand in such a file: more than one line, a quote, a control character.
result<secret> file_text(delivered_file::form form, credential_config const& credential, secret const& value);

}  // namespace scratchd::broker
