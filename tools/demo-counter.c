/* Counts aloud, twice a second, in memory only: what goes on after a restore was in the images. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	const struct timespec pause = {.tv_nsec = 500000000};
	for (unsigned long count = 1;; count++) {
		printf("  pid %d counts %lu\n", getpid(), count);
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}
