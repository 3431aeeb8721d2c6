// Names are resolved by c-ares, on the loop. libcurl is given nothing but addresses, which it reads
// itself; should that ever change, a look-up fails at once instead of blocking.
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/types.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  (void)name, (void)service, (void)hints, (void)result;
  return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list) { (void)list; }

// mbedTLS asks the kernel only where it knows glibc; elsewhere it reads /dev/urandom, which an empty
// root does not have. In the place of its entropy_poll.c.
int mbedtls_platform_entropy_poll(void *data, unsigned char *output, size_t size, size_t *taken);
int mbedtls_platform_entropy_poll(void *data, unsigned char *output, size_t size, size_t *taken) {
  const ssize_t got = getrandom(output, size, 0);
  (void)data;
  *taken = got < 0 ? 0 : (size_t)got;
  return got < 0 ? -0x003C : 0;  // MBEDTLS_ERR_ENTROPY_SOURCE_FAILED
}

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
