/// The command.
@SuppressWarnings("requires-automatic") // XChart has no module descriptor
module dev.deckle.app {
    requires com.google.gson;
    requires dev.deckle.align;
    requires dev.deckle.lm;
    requires dev.deckle.mpi;
    requires dev.deckle.study;
    requires dev.deckle.text;
    requires dev.deckle.x86;
    requires info.picocli;
    requires java.desktop;
    requires jdk.unsupported; // where JLine hears Ctrl-C
    requires org.jline.reader;
    requires org.jline.terminal;
    requires xchart;

    uses dev.deckle.kernel.KernelProvider;

    provides dev.deckle.kernel.KernelProvider with dev.deckle.app.VectorModule;

    opens dev.deckle.app to info.picocli;
}
