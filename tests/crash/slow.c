/* slow.c - every sync takes some milliseconds longer.
 *
 * A library to preload: LD_PRELOAD=slow.so SLOW_SYNC_MS=20 order-svc ...  It
 * gives any disk, and memory, the syncs of a slow disk: what is announced only
 * after a sync comes later, and a test that does not wait for it fails.
 * scripts/soak.sh uses it.  Only fsync and fdatasync are delayed; SQLite and
 * the services make nothing durable by another call. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The kernel's sleep: a program's own may be faketime's. */
static void delay(void)
{
    const char *text = getenv("SLOW_SYNC_MS");
    long ms = text == NULL ? 0 : atol(text);
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};

    while (syscall(SYS_nanosleep, &left, &left) != 0)
        continue;
}

int fdatasync(int fd)
{
    delay();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    delay();
    return (int)syscall(SYS_fsync, fd);
}
