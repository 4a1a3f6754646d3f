/*
 * A shared memory segment of which a part is unmapped.
 * VARIANTS: scenario
 */
#include "check.h"

#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
	setup(argc, argv);
	int id = shmget(IPC_PRIVATE, 4 * PAGE, 0600);
	char *p = shmat(id, NULL, 0);

	NEED(id >= 0 && p != (char *)-1 && !munmap(p + PAGE, PAGE));
	p[0] = 1;
	ready();
	for (int i = 0; !released(); i++) {
		p[0] = (char)i;
		nap_ms(5);
	}
	NEED(!shmctl(id, IPC_RMID, NULL));
	ok();
}
