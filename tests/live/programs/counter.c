/*
 * A loop goes on where it stopped: no step is lost, repeated or started anew.
 * PROVES: F001 F035 F064
 */
#include "check.h"
#include <sys/random.h>

int main(int argc, char **argv)
{
	uint64_t steps = 0, chain, nonce, check;

	setup(argc, argv);
	pid_t pid = getpid();
	NEED(getrandom(&nonce, sizeof(nonce), 0) == sizeof(nonce));
	chain = nonce;
	while (!released()) {
		chain = mix(chain ^ steps++);
		if (steps == 20)
			ready();
		nap_ms(2);
	}
	check = nonce;
	for (uint64_t i = 0; i < steps; i++)
		check = mix(check ^ i);
	NEED(check == chain);
	NEED(steps >= 20);
	SAME(getpid(), pid);
	SAME(syscall(SYS_gettid), pid);
	ok();
}
