/*
 * Five thousand children of one task: the list of children is read whole.
 * PROVES: F032
 * VARIANTS: plain
 * TIMEOUT: 60
 */
#include "crowd.h"

int main(int argc, char **argv)
{
	struct crowd c;

	setup(argc, argv);
	crowd_start(&c, 5000);
	park();
	crowd_finish(&c);
	ok();
}
