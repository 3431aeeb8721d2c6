SUMMARY = "Shares IP addresses between machines through etcd"
DESCRIPTION = "Several machines stand behind one IP address; vipd gives it to exactly one of \
them, and moves it when that one dies or is told to let go."
SECTION = "net"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

SRC_URI = "file://vipd-${PV}.tar.xz"
S = "${UNPACKDIR}/vipd-${PV}"

DEPENDS = "c-ares curl libmnl rapidjson"

inherit pkgconfig systemd update-rc.d

SYSTEMD_SERVICE:${PN} = "vipd.service"
SYSTEMD_AUTO_ENABLE = "disable"
INITSCRIPT_NAME = "vipd"
INITSCRIPT_PARAMS = "defaults 90 10"

EXTRA_OEMAKE = "V=1 LDHARDEN=-pie WERROR="
CPPFLAGS:append:libc-musl = " -include tools/static/musl.h"
CLEANBROKEN = "1"

do_compile() {
    oe_runmake all
}

# The classes remove what is of an init system that the distribution does not have.
do_install() {
    oe_runmake install DESTDIR=${D} PREFIX=${prefix} STRIP=
    install -D -m 0755 contrib/init/sysv/vipd ${D}${sysconfdir}/init.d/vipd
    install -D -m 0644 contrib/init/systemd/vipd.service ${D}${systemd_system_unitdir}/vipd.service
    install -D -m 0644 contrib/init/systemd/sysusers.conf ${D}${nonarch_libdir}/sysusers.d/vipd.conf
}

FILES:${PN} += "${nonarch_libdir}/sysusers.d"
PACKAGES =+ "${PN}-extras"
FILES:${PN}-extras = "${datadir}/bash-completion ${datadir}/zsh ${datadir}/fish ${datadir}/vipd"
RDEPENDS:${PN}-extras = "python3-core"
RRECOMMENDS:${PN} = "kernel-module-cls-bpf kernel-module-sch-ingress"
