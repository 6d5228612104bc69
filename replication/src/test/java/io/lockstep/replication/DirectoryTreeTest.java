package io.lockstep.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryTreeTest {
    @TempDir
    private Path directory;

    @Test
    void shouldRemoveLinksAndNotWhatTheyNameWhenATreeIsRemoved() throws Exception {
        Path kept = Files.createDirectory(directory.resolve("kept"));
        Path file = Files.writeString(kept.resolve("file"), "kept");
        Path tree = directory.resolve("tree");
        Path inner = Files.createDirectories(tree.resolve("a/b"));
        Files.writeString(inner.resolve("c"), "");
        Files.createSymbolicLink(inner.resolve("directory"), kept);
        Files.createSymbolicLink(tree.resolve("file"), file);
        DirectoryTree.remove(tree);
        assertThat(directory).isDirectoryContaining(kept::equals);
        assertThat(Files.exists(tree)).isFalse();
        assertThat(file).hasContent("kept");

        Files.createSymbolicLink(tree, kept);
        DirectoryTree.remove(tree);
        DirectoryTree.remove(tree);
        assertThat(file).hasContent("kept");
    }

    @Test
    void shouldRefuseWhenATreeIsDeeperThanAnyOfOurs() throws Exception {
        Files.createDirectories(directory.resolve("0/1/2/3/4/5/6/7/8"));
        assertThatThrownBy(() -> DirectoryTree.remove(directory.resolve("0")))
                .hasMessage("8 is a directory at depth 8 >= 8");
    }
}
