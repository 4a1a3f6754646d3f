/*
 * Owner and signal of a descriptor (F_SETOWN, F_SETSIG), of a process, a thread and a group.
 * PROVES: F100
 */
#include "check.h"

int main(int argc, char **argv)
{
	static const int type[] = {F_OWNER_PID, F_OWNER_PGRP, F_OWNER_TID};
	struct f_owner_ex owner;
	int p[3][2];

	setup(argc, argv);
	for (int i = 0; i < 3; i++) {
		owner = (struct f_owner_ex){type[i], getpid()};
		NEED(!pipe(p[i]) && !fcntl(p[i][0], F_SETOWN_EX, &owner));
		NEED(!fcntl(p[i][0], F_SETSIG, SIGRTMIN + i));
	}
	park();
	for (int i = 0; i < 3; i++) {
		NEED(!fcntl(p[i][0], F_GETOWN_EX, &owner));
		SAME(owner.type, type[i]);
		SAME(owner.pid, getpid());
		SAME(fcntl(p[i][0], F_GETSIG), SIGRTMIN + i);
		NEED(!fcntl(p[i][1], F_GETOWN_EX, &owner));
		SAME(owner.pid, 0);
	}
	ok();
}
