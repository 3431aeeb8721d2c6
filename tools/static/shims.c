// Names are resolved by c-ares, on the loop. libcurl is given nothing but addresses, which it reads
// itself; should that ever change, a look-up fails at once instead of blocking.
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  (void)name, (void)service, (void)hints, (void)result;
  return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list) { (void)list; }

// Debian's libmnl is compiled with _FORTIFY_SOURCE, which is glibc's own.
int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int size = vfprintf(file, format, arguments);
  va_end(arguments);
  (void)flag;
  return size;
}

#if __SIZEOF_POINTER__ == 4
// And with glibc's names for calls that know 64-bit times, which musl's all do.
ssize_t __recvmsg64(int fd, struct msghdr *message, int flags) {
  return recvmsg(fd, message, flags);
}
int __setsockopt64(int fd, int level, int name, const void *value, socklen_t size) {
  return setsockopt(fd, level, name, value, size);
}
int __getsockopt64(int fd, int level, int name, void *value, socklen_t *size) {
  return getsockopt(fd, level, name, value, size);
}
#endif
