/* What runs in each benchmarked cgroup: worker idle|busy DIRECTORY CGROUP.PROCS...
 *
 * It moves itself into the cgroups, takes a network namespace of its own and gives it an interface (a tap device; without
 * /dev/net/tun there is only lo), says so by one byte on standard output, and then sleeps (idle), or keeps the counters
 * moving (busy): twenty times a second 64 KiB written to a file and read back, and eight frames of traffic; every five
 * seconds the file is brought to the disk. It ends with whoever started it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int interface_up(void)
{
    struct ifreq request = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK), any = socket(AF_INET, SOCK_DGRAM, 0);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request))
        return -1;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(any, SIOCSIFFLAGS, &request))
        return -1;
    close(any);
    return tap;
}

static int work(const char *directory, int tap)
{
    static char block[1 << 16];
    char path[512], frame[1000] = "\377\377\377\377\377\377\2\0\0\0\0\1\210\265"; /* broadcast, a type nobody takes */
    snprintf(path, sizeof path, "%s/%d", directory, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink(path);
    for (unsigned round = 0;; round++) {
        off_t at = (off_t)(round % 64 * sizeof block);
        if (pwrite(fd, block, sizeof block, at) < 0 || pread(fd, block, sizeof block, at) < 0)
            return 1;
        for (int n = 0; tap >= 0 && n < 8; n++)
            if (write(tap, frame, sizeof frame) < 0)
                break;
        if (round % 100 == 99)
            fdatasync(fd);
        usleep(50000);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: worker idle|busy DIRECTORY CGROUP.PROCS...\n"), 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int n = 3; n < argc; n++) {
        int fd = open(argv[n], O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) < 0)
            return perror(argv[n]), 1;
        close(fd);
    }
    if (unshare(CLONE_NEWNET))
        return perror("unshare"), 1;
    int tap = interface_up();
    if (write(1, tap < 0 ? "l" : "e", 1) < 0)
        return 1;
    close(1);
    if (!strcmp(argv[1], "busy"))
        return work(argv[2], tap);
    for (;;)
        pause();
}
