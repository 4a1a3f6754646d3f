/* For requests: the bytes are a criu_req, or become one. */
#include "mutate.h"

#include "fuzz.h"
#include "image/codec.h"
#include "rpc.pb-c.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct session s;
	struct dice d = {.state = seed, .a = &s.arena};
	CriuReq none = CRIU_REQ__INIT;
	ProtobufCMessage *m = &none.base;
	fuzz_session(&s);
	if (!roll(&d, 8))
		size = LLVMFuzzerMutate(data, size, max_size);
	else {
		image_unpack(&s, &criu_req__descriptor, data, size, &m);
		mutate_message(&d, m);
		if (protobuf_c_message_get_packed_size(m) <= max_size)
			size = protobuf_c_message_pack(m, data);
	}
	session_release(&s);
	return size;
}
