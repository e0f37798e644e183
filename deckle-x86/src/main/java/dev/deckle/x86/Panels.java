package dev.deckle.x86;

/// What a [Blocked] product is made of: how its operands are packed and what multiplies them. Vectors do it as
/// [Product] says, the matrix unit as [AmxPanels] does.
sealed interface Panels permits Product, AmxPanels {
    static Panels of(Product p) {
        return p.code().amx.<Panels>map(unit -> new AmxPanels(p, unit)).orElse(p);
    }

    /// Rows of a panel of A.
    int height();

    /// Steps along k that are done at once.
    ///
    /// @param deep whether the product is cut along k
    int depth(boolean deep);

    /// Bytes of packed B that stay in the second-level cache while panels of A go by.
    long chunk();

    /// Bytes from one packed row of A, column, or tile's rows, to the next, in a panel that is `depth` steps deep.
    long row(int depth);

    /// Bytes from one panel to the next.
    long panel(int depth);

    /// A (rows, kn) to panels, `panel` bytes apart.
    void packA(int i0, int rows, int k0, int kn, long to, long panel, long ld);

    /// B (kn, columns) to strips, `strip` bytes apart, of kn vectors and as many zeros as the kernels want.
    void packB(int k0, int kn, int j0, int columns, long to, long strip);

    /// C (rows, columns) at `ci`, rows `ldc` bytes apart, (+)= A (rows, kn) at `ai` times B (kn, columns) at `bi`.
    void tile(
            int rows, int columns, int kn, long ai, long ldai, long bi, long ldbi, long strip, long ci, long ldc,
            boolean add);
}
