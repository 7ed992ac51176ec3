CREATE DATABASE IF NOT EXISTS `habla`;
CREATE USER IF NOT EXISTS 'habla'@'192.168.2.0/255.255.255.0';
ALTER USER 'habla'@'192.168.2.0/255.255.255.0' IDENTIFIED BY '@{secret:mysql/habla|sql}';
GRANT ALL PRIVILEGES ON `habla`.* TO 'habla'@'192.168.2.0/255.255.255.0';
SET @user = 'habla', @host = '192.168.2.0/255.255.255.0', @pattern = 'habla';
CREATE TABLE IF NOT EXISTS mysql.habla_accounts
    (User VARCHAR(128) NOT NULL, Host VARCHAR(255) NOT NULL, PRIMARY KEY (User, Host));
-- Accounts from before there was this table.
INSERT IGNORE INTO mysql.habla_accounts
    SELECT User, Host FROM mysql.user WHERE User = @user AND Host LIKE '%/%';
INSERT IGNORE INTO mysql.habla_accounts VALUES (@user, @host);
DELIMITER //
BEGIN NOT ATOMIC
    FOR old IN (SELECT User, Host FROM mysql.habla_accounts WHERE User <> @user OR Host <> @host) DO
        EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ', QUOTE(old.User), '@', QUOTE(old.Host));
        DELETE FROM mysql.habla_accounts WHERE User = old.User AND Host = old.Host;
    END FOR;
    FOR old IN (SELECT Db FROM mysql.db WHERE User = @user AND Host = @host AND Db <> @pattern) DO
        EXECUTE IMMEDIATE CONCAT(
            'REVOKE ALL PRIVILEGES ON `', old.Db, '`.* FROM ', QUOTE(@user), '@', QUOTE(@host));
    END FOR;
END //
DELIMITER ;
