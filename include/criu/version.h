/* Version of the interface. */
#ifndef __CR_VERSION_H__
#define __CR_VERSION_H__

#define CRIU_VERSION	   "4.2"
#define CRIU_VERSION_MAJOR 4
#define CRIU_VERSION_MINOR 2
#define CRIU_GITID	   "0"

#endif
