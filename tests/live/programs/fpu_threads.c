/*
 * Each of four threads holds registers of its own, at different levels.
 * PROVES: F004 F023
 */
#include "xstate.h"
#include <pthread.h>

static struct ctl *ctl;
static volatile uint8_t up;

static void *work(void *arg)
{
	enum level level = (long)arg % 3;

	hold_and_check(have(level) ? level : SSE, 50 + (long)arg, ctl, &up);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread[4];
	void *value;

	setup(argc, argv);
	ctl = map_ctl();
	for (long i = 0; i < 4; i++)
		NEED(!pthread_create(&thread[i], NULL, work, (void *)i));
	while (up < 4)
		nap_ms(1);
	park();
	for (long i = 0; i < 4; i++)
		NEED(!pthread_join(thread[i], &value) && value == (void *)i);
	ok();
}
